"""Format numbers, sizes, durations and times for people."""

from __future__ import annotations

from datetime import UTC, datetime

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
KIBI = 1024
TEN_SECONDS = 10 * SECOND


def format_duration(ms: float | None) -> str:
    """Format a duration: 45 ms, 1.23 s, 45.6 s, 2 m 05 s, 3 h 20 m, 2 d 4 h. Empty for None."""
    if ms is None:
        return ""
    if ms < SECOND:
        return f"{ms:.0f} ms"
    if ms < MINUTE:
        return f"{ms / SECOND:.2f} s" if ms < TEN_SECONDS else f"{ms / SECOND:.1f} s"
    if ms < HOUR:
        return f"{ms // MINUTE:.0f} m {ms % MINUTE // SECOND:02.0f} s"
    if ms < DAY:
        return f"{ms // HOUR:.0f} h {ms % HOUR // MINUTE:02.0f} m"
    return f"{ms // DAY:.0f} d {ms % DAY // HOUR:.0f} h"


def format_time(then: datetime | None) -> str:
    """Format a time in the local time zone: 14:05:09 today, else 2026-11-22 14:05. Empty for None."""
    if then is None:
        return ""
    local_time = then.astimezone()
    is_today = local_time.date() == datetime.now(UTC).astimezone().date()
    return local_time.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M")


def elapsed_ms(start: datetime | None, stop: datetime | None) -> float | None:
    """Return the milliseconds from `start` to `stop`, by default now. None if there is no start."""
    return None if start is None else ((stop or datetime.now(UTC)) - start).total_seconds() * SECOND


def format_bytes(count: int) -> str:
    """Format a number of bytes in binary units, like the limits in the settings: 512 B, 25 MiB, 2.1 MiB."""
    amount, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if round(amount, 1) < KIBI:
            break
        amount, unit = amount / KIBI, larger
    return f"{amount:.1f}".removesuffix(".0") + f" {unit}"


def format_dimensions(width: int | None, height: int | None) -> str:
    """Format a size in pixels: 640 × 480. Empty if it is not known."""  # noqa: RUF002  # the multiplication sign
    return f"{width} × {height}" if width and height else ""  # noqa: RUF001  # the multiplication sign


def replace_unprintable(text: str) -> str:
    """Replace the characters that are not printable: a terminal would execute control sequences in a user's text."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def pluralize(count: int, what: str, plural: str = "") -> str:
    """Format a count with its noun: 1 photo, 2 photos. The plural is by default the noun with an s."""
    return f"{count:,} {what if count == 1 else plural or what + 's'}"
