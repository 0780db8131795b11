"""What a walk over a container's own bookkeeping finds, and how many parts of it a walk will look at."""

from __future__ import annotations

from dataclasses import dataclass

from stages.errors import BrokenRule, ImageTooLarge

MAX_PARTS = (
    65_536  # segments, chunks, strips: Pillow takes microseconds and an object for each; real files have hundreds
)


@dataclass(frozen=True, slots=True)
class ContainerInfo:
    """What Pillow's header does not tell: a GIF's frames, a PNG's EXIF behind its pixels."""

    frames: int | None = None
    exif: bytes | None = None


def check_part_count(actual: int, name: str, limit: int = MAX_PARTS) -> None:
    """Raise ImageTooLarge where an image is in more parts than anyone makes by accident."""
    if actual > limit:
        message = f"The image has {actual:,} or more {name}; at most {limit:,} are allowed."
        rule = BrokenRule(pointer=f"/{name}", rule=name, message=message, limit=limit, actual=actual)
        raise ImageTooLarge(message, errors=(rule,))
