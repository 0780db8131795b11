"""Colour conversion: the colour space that an image states is applied and dropped, and the result is sRGB."""

from __future__ import annotations

import io
from functools import cache, lru_cache
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image, ImageChops, ImageCms

from stages.colour.hdr import sdr_profile
from stages.colour.profiles import hide_elements

if TYPE_CHECKING:
    from stages.colour.space import ColourSpace


class _Rendering(NamedTuple):
    renderingIntent: ImageCms.Intent  # noqa: N815  ImageCms' own words
    flags: ImageCms.Flags


JUST_NOTICEABLE = 2  # levels of 255: cameras' variants of sRGB differ by less; not converting them saves 14 ns a pixel
# For tone mapping, LittleCMS has a table of 65 points along each axis instead of 33: it is off by a third as much where
# a channel becomes 0. To fill it once takes 60 ms, and a pixel takes 38 ns instead of 29. The perceptual intent would
# take the table's black for that of paper, and the fix-up its last colour for white.
_TONE_MAPPING = _Rendering(
    ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.GRIDPOINTS(65) | ImageCms.Flags.NOWHITEONWHITEFIXUP
)
_BY_PROFILE = _Rendering(ImageCms.Intent.PERCEPTUAL, ImageCms.Flags.NONE)
_RENDERINGS = {
    # An ink's own colours, and the darkest ink as black, as print programs do: a perceptual table is for another gamut.
    "CMYK": _Rendering(ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION),
    # LittleCMS interpolates grey between 33 points, and dark levels of linear light were off by 10.
    "L": _Rendering(ImageCms.Intent.PERCEPTUAL, ImageCms.Flags.GRIDPOINTS(255)),
}
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # ICC.1:2022, table 19, to Pillow's modes


class _Transform(NamedTuple):
    mode: str  # of the pixels that it takes
    apply: ImageCms.ImageCmsTransform


def to_srgb(image: Image.Image, space: ColourSpace) -> Image.Image:
    """Convert an 8-bit L, LA, RGB, RGBA, CMYK or LAB image to RGB, or to RGBA if a pixel is not opaque.

    A profile is ignored if it is broken or for other channels. CMYK without a profile is converted by subtraction. An
    RGB or RGBA image is converted in place: it may be the result.
    """
    if image.mode not in ("LA", "RGBA"):
        return _convert(image, space)
    if image.getchannel("A").getextrema() == (255, 255):
        return _convert(image.convert(image.mode.removesuffix("A")), space)
    if image.mode == "RGBA":
        return _convert(image, space)
    colours = _convert(image.convert("L"), space)
    colours.putalpha(image.getchannel("A"))
    return colours


def _convert(colours: Image.Image, space: ColourSpace) -> Image.Image:
    if colours.mode == "LAB":
        return _lab(colours)
    transform = _transform(space, colours.mode) if space.icc or space.hdr else None
    if transform and transform.mode == "RGB" and colours.mode == "L":  # a grey image that still has an RGB profile
        colours = colours.convert("RGB")
    if transform and transform.mode == colours.mode:
        return transform.apply.apply(colours, colours if colours.mode in ("RGB", "RGBA") else None)
    return colours if colours.mode in ("RGB", "RGBA") else colours.convert("RGB")


@lru_cache(maxsize=16)
def _transform(space: ColourSpace, mode: str) -> _Transform | None:
    """Return the transform for pixels of a mode, or None if the profile is broken or looks like sRGB."""
    try:
        profile = ImageCms.ImageCmsProfile(
            io.BytesIO(sdr_profile(space.hdr) if space.hdr else hide_elements(space.icc or b""))
        )
        source = _MODES[profile.profile.xcolor_space.strip()]
        if source == "RGB" and mode == "RGBA":
            source = mode
        target = "RGBA" if source == "RGBA" else "RGB"
        rendering = _TONE_MAPPING if space.hdr else _RENDERINGS.get(source, _BY_PROFILE)
        transform = ImageCms.buildTransform(profile, _srgb(), source, target, **rendering._asdict())
    except (ImageCms.PyCMSError, OSError, KeyError, TypeError, ValueError):
        return None
    if source == "CMYK" or space.hdr:
        return _Transform(source, transform)
    swatches = _swatches().convert(source)
    extrema = ImageChops.difference(transform.apply(swatches), swatches.convert(target)).getextrema()
    return _Transform(source, transform) if max(high for _, high in extrema) > JUST_NOTICEABLE else None  # type: ignore[misc]


@cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@cache
def _swatches() -> Image.Image:
    levels = (*range(0, 256, 32), 255)
    return Image.frombytes("RGB", (len(levels) ** 2, len(levels)), bytes(sum(product(levels, repeat=3), ())))


def _lab(colours: Image.Image) -> Image.Image:
    return _lab_transform().apply(colours)


@cache
def _lab_transform() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), _srgb(), "LAB", "RGB")
