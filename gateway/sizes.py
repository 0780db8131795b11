"""Sizes: of a form, and in error details, in the binary units that the limits are set in."""

from __future__ import annotations

FORM_OVERHEAD_BYTES = 64 * 1024
"""What a form may have besides its file."""
UNITS = {"MiB": 2**20, "KiB": 2**10}


def format_size(count: int) -> str:
    """Format a number of bytes, rounded down to a tenth of its unit: 25 MiB, 1.5 KiB, 900 bytes."""
    for unit, size in UNITS.items():
        if count >= size:
            whole, tenth = divmod(count * 10 // size, 10)
            return f"{whole}.{tenth} {unit}" if tenth else f"{whole} {unit}"
    return f"{count} bytes"
