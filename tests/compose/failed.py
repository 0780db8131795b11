"""What ends the test."""

from __future__ import annotations


class CheckFailed(Exception):
    """A promise that was not kept."""


def expect(promise: bool, broken: str) -> None:  # as assert, which -O would remove
    """Raise `CheckFailed` unless the promise was kept."""
    if not promise:
        raise CheckFailed(broken)
