"""Inspection of a PNG: what is shown must be sound, and the rest is left out where it would mislead the decoder."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice, takewhile

from stages.container_info import MAX_PARTS, ContainerInfo, check_part_count
from stages.errors import ImageCorrupt, ImageTruncated
from stages.limits import Limits
from stages.png.animation import read_animation
from stages.png.chunks import (
    ACTL,
    ADLER_BYTES,
    FCTL,
    FDAT,
    IDAT,
    IEND,
    Chunk,
    check_sound,
    is_sound,
    walk_chunks,
)
from stages.png.header import HeaderReader


def inspect_png(original: bytes, _limits: Limits) -> ContainerInfo:
    """Check the chunks that are shown, and count the frames.

    A missing end is accepted if all pixels are there; decoding tells whether they are. Raises ImageCorrupt,
    ImageTruncated, ImageTooLarge or UnsupportedFormat.
    """
    view, chunks = memoryview(original), [*islice(walk_chunks(original), MAX_PARTS + 1)]
    check_part_count(len(chunks), "chunks")
    if not chunks or chunks[0].end > len(view):
        raise ImageTruncated
    header = HeaderReader(view, chunks[0])
    first = _find_pixels(chunks)
    header.read(chunks[1:first])
    _check_pixels(view, takewhile(lambda chunk: chunk.kind == IDAT, islice(chunks, first, None)))
    frames, changes = _inspect_frames(original, chunks, first, header.changes), header.changes
    return ContainerInfo(frames=frames, content=_rewrite(view, changes) if changes else None)


def _find_pixels(chunks: list[Chunk]) -> int:
    for number, chunk in enumerate(chunks):
        if chunk.kind == IDAT:
            return number
        if chunk.kind == IEND:
            raise ImageCorrupt
    raise ImageTruncated


def _check_pixels(view: memoryview, chunks: Iterable[Chunk]) -> None:
    longest = len(view) + ADLER_BYTES
    for chunk in chunks:
        if chunk.end > longest:
            raise ImageTruncated
        check_sound(view, chunk)


def _inspect_frames(original: bytes, chunks: list[Chunk], first: int, changes: dict[Chunk, bytes]) -> int:
    """Check the pixels of all frames, and return how many there are: at least one, which may be no animation."""
    announcing = [chunk for chunk in chunks[:first] if chunk.kind in (ACTL, FCTL, FDAT)]
    if not announcing:
        return 1
    view = memoryview(original)
    changes |= {chunk: b"" for chunk in chunks[first:] if chunk.kind == FCTL and not is_sound(view, chunk)}
    animation = read_animation(original, (chunk for chunk in chunks if chunk not in changes))
    if not animation or not animation.frames:
        changes |= dict.fromkeys(announcing, b"")
    if not animation:
        return 1
    if len(animation.frames) < animation.stated and chunks[-1].kind != IEND:
        raise ImageTruncated
    for frame in animation.frames:
        _check_pixels(view, (chunk for chunk in frame.chunks if chunk.kind == FDAT))
    return max(1, len(animation.frames))


def _rewrite(view: memoryview, changes: dict[Chunk, bytes]) -> bytes:
    """Return the file with other bytes in place of some chunks."""
    parts: list[bytes | memoryview] = []
    position = 0
    for chunk, replacement in sorted(changes.items(), key=lambda change: change[0].start):
        parts += (view[position : chunk.whole.start], replacement)
        position = chunk.whole.stop
    return b"".join((*parts, view[position:]))
