"""Stage one: check that the original is an accepted image. Reads headers only: normalize decodes the pixels, once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages.bit_depth import read_bit_depth
from stages.decode import open_image
from stages.position import states_position
from stages.webp.first_frame import is_first_frame_opaque

if TYPE_CHECKING:
    from PIL import Image

    from stages.limits import Limits

_ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})


@dataclass(frozen=True, slots=True)
class StatedColours:
    """The name of the colour space that an original states, and where it states it: `ColourSpace.source`."""

    name: str
    source: str


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """The facts of an original: width and height are in pixels as displayed, after its EXIF orientation is applied.

    `has_alpha` says whether it can have transparent pixels; the bits of a channel and whether its metadata state a
    position are None if unknown.
    """

    format: str
    width: int
    height: int
    mode: str
    frames: int
    orientation: int
    bit_depth: int | None
    colour_space: StatedColours
    has_alpha: bool
    has_gps: bool | None


def validate(original: bytes, *, limits: Limits, animated: bool = False) -> ImageFacts:
    """Return the facts of an original within the limits, or raise the StageError that says why it is refused.

    The limits on animations count only if all frames are wanted.
    """
    opened = open_image(original, limits=limits, all_frames=animated)
    image, (width, height) = opened.image, opened.display_size
    return ImageFacts(
        format=opened.format,
        width=width,
        height=height,
        mode=image.mode,
        frames=opened.frames,
        orientation=opened.orientation,
        bit_depth=read_bit_depth(original, image, opened.format),
        colour_space=StatedColours(opened.colour_space.name, opened.colour_space.source),
        has_alpha=_has_alpha(image) and not (opened.format == "webp" and is_first_frame_opaque(original)),
        has_gps=states_position(original, image, opened.format),
    )


def _has_alpha(image: Image.Image) -> bool:
    """Tell whether there is an alpha channel or a transparent colour. Pillow's own property wants a palette."""
    in_palette = image.palette is not None and image.palette.mode.endswith("A")
    return image.mode in _ALPHA_MODES or "transparency" in image.info or (image.mode == "P" and in_palette)
