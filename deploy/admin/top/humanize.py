"""Numbers as people read them, none longer than eight characters."""

from __future__ import annotations

NO_VALUE = "-"


def format_seconds(value: float | None) -> str:
    """Write a time, such as 12 ms, 1.3 s, 2m 05s or 1h 12m."""
    if value is None:
        return NO_VALUE
    if value < 0.9995:  # noqa: PLR2004  # which would be written 1000 ms
        return f"{value * 1000:.0f} ms"
    if value < 59.95:  # noqa: PLR2004  # which would be written 60.0 s
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:  # noqa: PLR2004
        return f"{minutes}m {rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m" if hours < 100 else f"{hours // 24}d"  # noqa: PLR2004


def format_rate(value: float) -> str:
    """Write how often something happens in a second."""
    if not value:
        return "0"
    if value < 0.005:  # noqa: PLR2004  # which would be written 0.00
        return "<0.01"
    return f"{value:.2f}" if value < 9.995 else f"{value:,.1f}" if value < 99.95 else f"{value:,.0f}"  # noqa: PLR2004


def format_count(value: float | None) -> str:
    """Write a number of things."""
    return NO_VALUE if value is None else f"{value:,.0f}"


def format_bytes(value: float | None) -> str:
    """Write a number of bytes."""
    if value is None:
        return NO_VALUE
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 999.5:  # noqa: PLR2004  # three digits
            return f"{value:.0f} {unit}" if value >= 9.95 or unit == "B" else f"{value:.1f} {unit}"  # noqa: PLR2004
        value /= 1024
    return f"{value:.1f} TiB"
