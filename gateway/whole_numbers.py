"""Whole numbers in requests: any number of digits, which `int` does not take."""

from __future__ import annotations

MAX_DIGITS = 18
MAX_NUMBER = 10**MAX_DIGITS - 1
"""It fits 64 bits, and no size or version reaches it."""


def parse_whole_number(text: str) -> int | None:
    """Return the number that ASCII digits make, at most MAX_NUMBER; None for any other text."""
    if not (text.isascii() and text.isdecimal()):
        return None
    digits = text.lstrip("0")
    return int(digits or "0") if len(digits) <= MAX_DIGITS else MAX_NUMBER
