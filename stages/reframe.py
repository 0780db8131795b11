"""Reframing: scale a decoded image and cut it, or pad it, as a plan of sizes says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.focus.boxes import focus_box
from stages.padding import pad
from stages.scale import scale

if TYPE_CHECKING:
    from PIL import Image

    from stages.resize_plan import BoxFit, ResizePlan


def reframe(
    image: Image.Image, plan: ResizePlan, *, fit: BoxFit, point: tuple[float, float], background: str
) -> Image.Image:
    """Return the whole image at the final size of the plan, or for `cover` its part around `point`.

    The image may be smaller or larger than the original that the plan is of. It is cut first: so only what stays is
    scaled, and a thin strip that grows does not grow far beyond the limits on the result.
    """
    if fit == "cover":
        return scale(cut(image, focus_box(image.size, plan.final, point)), plan.final)
    return pad(scale(image, plan.scaled), plan.final, background)


def cut(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """Return the box (left, top, right, bottom) of the image; the image itself if that is all of it."""
    return image if box == (0, 0, *image.size) else image.crop(box)
