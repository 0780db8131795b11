"""Sizes for people."""

from __future__ import annotations

import pytest

from gateway.sizes import format_size


@pytest.mark.parametrize(
    ("count", "written"),
    [
        (25 * 2**20, "25 MiB"),
        (25 * 2**20 + 2**16, "25 MiB"),
        (3 * 2**19, "1.5 MiB"),
        (8 * 2**10, "8 KiB"),
        (1000, "1000 bytes"),
    ],
)
def test_a_size_is_written_in_the_unit_of_its_limit(count: int, written: str) -> None:
    assert format_size(count) == written
