"""Animations composed frame by frame on one canvas, as browsers do: the frames of a GIF and of an APNG."""

from __future__ import annotations

import io
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from PIL import Image
from PIL.ImageFile import ImageFile

if TYPE_CHECKING:
    from PIL._imaging import PixelAccess

WITH_ALPHA = {"L": "LA", "RGB": "RGBA"}
# What becomes of a frame before the next one, in the numbers of PNG (Third Edition), 11.3.6.2: it stays, or its place
# becomes transparent, or what was there before comes back.
STAY, CLEAR, RESTORE = 0, 1, 2
_Box = tuple[int, int, int, int]


class Placement(Protocol):
    """Where a frame lies, as (left, top, right, bottom), how long it is shown, and what becomes of it then."""

    @property
    def box(self) -> _Box: ...  # noqa: D102
    @property
    def duration_ms(self) -> int: ...  # noqa: D102
    @property
    def disposal(self) -> int: ...  # noqa: D102


class Composition(ImageFile):
    """Frames to be shown one after the other. A subclass sets `_size` and `_mode` in `_open`, and paints a frame."""

    def __init__(self, content: bytes, placements: Sequence[Placement]) -> None:
        self._content, self._placements = content, placements
        self._canvas: Image.Image | None = None
        self._before: Image.Image | None = None  # what the current frame replaced, if that comes back
        self._wanted, self._composed = 0, -1
        super().__init__(io.BytesIO())

    @abstractmethod
    def _paint(self, canvas: Image.Image, number: int) -> Image.Image:
        """Lay the pixels of a frame on the canvas, or on a copy of it with alpha, and return that."""

    def seek(self, frame: int) -> None:
        """Go to this frame or a later one."""
        self._wanted = frame

    def tell(self) -> int:
        """Return the number of the current frame."""
        return self._wanted

    def load(self) -> PixelAccess | None:
        """Compose the frames up to the current one. The canvas is released with the last."""
        while self._composed < self._wanted:
            canvas = self._dispose(self._canvas) if self._canvas else Image.new(self.mode, self.size)
            self._composed += 1
            placement = self._placements[self._composed]
            restores = placement.disposal == RESTORE and self._composed > 0  # before the first, the canvas was clear
            self._before = canvas.crop(self._visible(placement.box)) if restores else None
            canvas = self._paint(canvas, self._composed)
            self._canvas = canvas if self._composed < len(self._placements) - 1 else None
            self._im, self._mode, self.info["duration"] = canvas.im, canvas.mode, placement.duration_ms
        return super().load()

    def _dispose(self, canvas: Image.Image) -> Image.Image:
        """Remove the last composed frame from the canvas, as it asks for."""
        placement = self._placements[self._composed]
        box = self._visible(placement.box)
        if self._before:
            canvas.paste(self._before, box)
        elif placement.disposal in (CLEAR, RESTORE):
            canvas = canvas.convert(WITH_ALPHA[canvas.mode]) if canvas.mode in WITH_ALPHA else canvas
            canvas.paste((0,) * len(canvas.mode), box)
        return canvas

    def _visible(self, box: _Box) -> _Box:
        """Return the part of a box that lies on the canvas."""
        left, top, right, bottom = (min(side, self.size[number % 2]) for number, side in enumerate(box))
        return left, top, right, bottom
