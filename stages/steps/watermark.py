"""The step `watermark`: lay a small image, such as a logo, over the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from PIL import Image

from stages.decode import open_image
from stages.decode_upright import decode_upright
from stages.errors import StageError
from stages.steps.alpha import PREMULTIPLY, add_alpha
from stages.steps.step import Step, StepContext
from stages.system_errors import check_memory

Anchor = Literal[
    "centre", "north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west"
]  # fmt: skip


class AssetUnusable(Exception):
    """An image file that a step names is missing or cannot be read. It is no fault of the image that is processed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watermark(Step):
    """Lay a small image over the image. It keeps its aspect ratio and its alpha, and never reaches over an edge."""

    SHORT: ClassVar[str] = "image"

    image: Annotated[str, MinLen(1), MaxLen(255)]
    """The name of the image file."""
    anchor: Anchor = "south-east"
    """Where it lies."""
    size: Annotated[float, Gt(0), Le(1)] = 0.2
    """Its width, as a share of the width of the result. It is less if the height would not fit."""
    opacity: Annotated[float, Gt(0), Le(1)] = 1
    """How much of it is seen: 1 is as it is in the file."""
    margin: Annotated[float, Ge(0), Le(0.4)] = 0.03
    """The distance from the edges, as a share of the shorter side of the result."""

    def apply(self, image: Image.Image, context: StepContext) -> Image.Image:
        """Return the image as RGB or RGBA, with the mark on it.

        Raises AssetUnusable if the file is not among the assets, or is no image within the limits.
        """
        margin = round(self.margin * min(image.size))
        mark = self._decode(context, image.size, margin)
        mark.putalpha(mark.getchannel("A").point([round(self.opacity * level) for level in range(256)]))
        place = (
            _place(("west" in self.anchor) - ("east" in self.anchor), image.width - mark.width, margin),
            _place(("north" in self.anchor) - ("south" in self.anchor), image.height - mark.height, margin),
        )
        check_memory(4 * image.width * image.height)
        has_alpha = image.mode in PREMULTIPLY
        result = image.copy() if image.mode in ("RGB", "RGBA") else image.convert("RGBA" if has_alpha else "RGB")
        if has_alpha:
            result.alpha_composite(mark, place)
        else:
            result.paste(mark, place, mark)
        return result

    def _decode(self, context: StepContext, size: tuple[int, int], margin: int) -> Image.Image:
        """Return the file's image as RGBA, at the size that it has on an image of `size`."""
        if self.image not in context.assets:
            raise AssetUnusable(f"The image {self.image!r} of a watermark is missing.")
        try:
            opened = open_image(context.assets[self.image], limits=context.limits)
            width, height = opened.display_size
            room = [max(1, side - 2 * margin) for side in size]
            factor = min(self.size * size[0] / width, room[0] / width, room[1] / height)
            return add_alpha(
                decode_upright(opened, size=(max(1, round(width * factor)), max(1, round(height * factor))))
            )
        except StageError as error:
            raise AssetUnusable(f"The image {self.image!r} of a watermark cannot be used: {error}") from error


def _place(towards_start: int, free: int, margin: int) -> int:
    """Return where the mark begins in one direction: 1 is at the start, -1 at the end, 0 in the middle."""
    return {1: min(margin, free), 0: free // 2, -1: max(0, free - margin)}[towards_start]
