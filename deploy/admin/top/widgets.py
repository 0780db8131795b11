"""The widgets of the view: colours, tables, cells, and lines that break between parts only."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from gateway.cli import humanize

AGE_WARNING_SECONDS, AGE_BAD_SECONDS = (
    5.0,
    60.0,
)  # of a message that waits: yellow from the first age on, red from the second
NO_VALUE = "-"
GOOD, WARNING, BAD, MUTED = "green", "yellow", "bold red", "dim"
FIRST_COLUMN_WIDTH = 10  # columns of each table's first column
WIDE_TERMINAL_COLUMNS = 110  # from this width on, tables have wider gaps, and the table of queues one column more


def create_table(width: int, *headings: str) -> Table:
    """Return a table without rows: the first column is left-aligned, the others right-aligned, no cell wraps."""
    gap = 2 if width >= WIDE_TERMINAL_COLUMNS else 1
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    table.columns[0].min_width = FIRST_COLUMN_WIDTH
    return table


def label_value(name: str, value: str, style: str = "") -> Text:
    """Write a figure after its name."""
    return Text.assemble((f"{name} ", MUTED), (value, style))


def wrap_parts(parts: Sequence[Text], width: int) -> Text:
    """Join the parts into as many lines as needed. No part is broken."""
    line, used = Text(), 0
    for part in parts:
        if used and used + 3 + part.cell_len > width:
            line, used = line.append("\n"), 0
        gap = "   " if used else ""
        line, used = line.append(gap).append_text(part), used + len(gap) + part.cell_len
    return line


def format_seconds(value: float | None) -> str:
    """Write a duration given in seconds."""
    return NO_VALUE if value is None else humanize.format_duration(value * humanize.SECOND)


def format_duration_cell(value: float | None) -> Text:
    """Write a duration in a cell."""
    return Text(format_seconds(value), MUTED if value is None else "")


def format_rate(value: float) -> str:
    """Write how often something happens in a second, in six characters at most up to 99,999."""
    if not value:
        return "0"
    if value < 0.005:  # noqa: PLR2004  # which would be written 0.00
        return "<0.01"
    return f"{value:.2f}" if value < 9.995 else f"{value:,.1f}" if value < 99.95 else f"{value:,.0f}"  # noqa: PLR2004


def format_count(value: float | None) -> str:
    """Write a number of things."""
    return NO_VALUE if value is None else f"{value:,.0f}"


def age_style(value: float | None) -> str:
    """Return the colour for an age in seconds."""
    value = value or 0.0
    return BAD if value >= AGE_BAD_SECONDS else WARNING if value >= AGE_WARNING_SECONDS else ""
