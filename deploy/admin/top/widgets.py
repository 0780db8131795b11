"""The brushes of the view: its colours, its tables, and lines of parts that stay whole."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from deploy.admin.top.humanize import format_seconds

AGE_WARNING_SECONDS, AGE_BAD_SECONDS = (
    5.0,
    60.0,
)  # seconds that a message waits: the first is worth a look, the second wants somebody
GOOD, WARNING, BAD, MUTED = "green", "yellow", "bold red", "dim"
FIRST_COLUMN_WIDTH = 10  # columns of each table's first column
WIDE_TERMINAL_COLUMNS = 100  # columns from which tables have wider gaps, and the queues' one column more


def create_table(width: int, *headings: str) -> Table:
    """Return a table without rows: names on the left, figures on the right, nothing broken."""
    gap = 2 if width >= WIDE_TERMINAL_COLUMNS else 1
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    table.columns[0].min_width = FIRST_COLUMN_WIDTH
    return table


def label_value(name: str, value: str, style: str = "") -> Text:
    """Name a figure."""
    return Text.assemble((f"{name} ", MUTED), (value, style))


def wrap_parts(parts: Sequence[Text], width: int) -> Text:
    """Set parts side by side, none broken, in as many lines as that takes."""
    line, used = Text(), 0
    for part in parts:
        if used and used + 3 + part.cell_len > width:
            line, used = line.append("\n"), 0
        gap = "   " if used else ""
        line, used = line.append(gap).append_text(part), used + len(gap) + part.cell_len
    return line


def format_duration_cell(value: float | None) -> Text:
    """Write a time in a cell."""
    return Text(format_seconds(value), MUTED if value is None else "")


def age_style(value: float | None) -> str:
    """Choose the colour for how long something has waited."""
    value = value or 0.0
    return BAD if value >= AGE_BAD_SECONDS else WARNING if value >= AGE_WARNING_SECONDS else ""
