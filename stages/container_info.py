"""The result of inspecting a file's structure, and the limit on the parts that are inspected."""

from __future__ import annotations

from dataclasses import dataclass

from stages.errors import BrokenRule, ImageTooLarge

# Segments, chunks or strips. Pillow needs microseconds and an object for each; real files have hundreds.
MAX_PARTS = 65_536


@dataclass(frozen=True, slots=True)
class ContainerInfo:
    """What an inspection has found: `frames` is None if the decoder counts them.

    `plays` is how often an AVIF plays, 0 for endlessly. `content` is what to decode instead of the original, if the
    decoder is stricter about it than browsers are.
    """

    frames: int | None = 1
    plays: int | None = None
    content: bytes | None = None


class PartCounter:
    """Counts the parts of one kind in a whole file, wherever they lie in it."""

    def __init__(self, name: str) -> None:
        self._name, self._count = name, 0

    def add(self, count: int = 1) -> None:
        """Raise ImageTooLarge if the file has more parts than MAX_PARTS."""
        self._count += count
        check_part_count(self._count, self._name)


def check_part_count(actual: int, name: str, limit: int = MAX_PARTS) -> None:
    """Raise ImageTooLarge if an image has more parts than `limit`, which no ordinary file has."""
    if actual > limit:
        message = f"The image has {actual:,} or more {name}; at most {limit:,} are allowed."
        rule = BrokenRule(pointer=f"/{name}", rule=name, message=message, limit=limit, actual=actual)
        raise ImageTooLarge(message, errors=(rule,))
