"""Which tests go to one process when several run: those that share a stack, so that it is started once."""

from __future__ import annotations

import pytest

SHARED = ("site", "strict_stack", "stack", "servers")


def group_by_stack(items: list[pytest.Item]) -> None:
    """Mark each test with the stack that it shares with other files; a test without one goes with its file."""
    for item in items:
        wanted = getattr(item, "fixturenames", ())
        name = next((stack for stack in SHARED if stack in wanted), item.nodeid.partition("::")[0])
        item.add_marker(pytest.mark.xdist_group(name))
