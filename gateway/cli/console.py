"""The console of the command: it prints text of a server without obeying it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from .humanize import replace_unprintable


class PlainTextConsole(Console):
    """A console for text that others wrote: control sequences are replaced, markup and emoji codes are plain text."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render an object as rich does. Rich itself removes only some of the control characters."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(_replace_controls(segment.text), segment.style)


def _replace_controls(text: str) -> str:
    return text if text.isprintable() else "\n".join(map(replace_unprintable, text.split("\n")))
