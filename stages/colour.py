"""Colour conversion: the colour space that an image states is applied and dropped, and the result is sRGB."""

from __future__ import annotations

import io
from functools import cache, lru_cache
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image, ImageChops, ImageCms

if TYPE_CHECKING:
    from stages.colour_space import ColourSpace

JUST_NOTICEABLE = 2  # levels of 255: cameras' variants of sRGB differ by less; not converting them saves 14 ns a pixel
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # ICC.1:2022, table 19, to Pillow's modes


class _Transform(NamedTuple):
    mode: str
    apply: ImageCms.ImageCmsTransform | None  # None if the profile looks like sRGB
    keep_alpha: ImageCms.ImageCmsTransform | None = None  # the same for RGBA


def to_srgb(image: Image.Image, space: ColourSpace) -> Image.Image:
    """Convert an 8-bit L, LA, RGB, RGBA, CMYK or LAB image to RGB, or to RGBA if a pixel is not opaque.

    A profile is ignored if it is broken or for other channels. CMYK without a profile is converted by subtraction. An
    RGB or RGBA image is converted in place: it may be the result.
    """
    profile = space.icc
    if image.mode not in ("LA", "RGBA"):
        return _apply_profile(image, profile)
    if image.getchannel("A").getextrema() == (255, 255):
        return _apply_profile(image.convert(image.mode.removesuffix("A")), profile)
    if image.mode == "RGBA":
        return _apply_profile(image, profile)
    colours = _apply_profile(image.convert("L"), profile)
    colours.putalpha(image.getchannel("A"))
    return colours


def _apply_profile(colours: Image.Image, profile: bytes | None) -> Image.Image:
    if colours.mode == "LAB":
        return _lab(colours)
    transform = _transform(profile) if profile else None
    if transform and transform.mode == "RGB" and colours.mode == "L":  # a grey image that still has an RGB profile
        colours = colours.convert("RGB")
    if transform and transform.keep_alpha and colours.mode == "RGBA":
        return transform.keep_alpha.apply_in_place(colours)
    if transform and transform.mode == colours.mode and transform.apply:
        return transform.apply.apply(colours, colours if transform.mode == "RGB" else None)
    return colours if colours.mode in ("RGB", "RGBA") else colours.convert("RGB")


@lru_cache(maxsize=16)
def _transform(profile: bytes) -> _Transform | None:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _MODES[source.profile.xcolor_space.strip()]
        transform = ImageCms.buildTransform(source, _srgb(), mode, "RGB")
        keep_alpha = ImageCms.buildTransform(source, _srgb(), "RGBA", "RGBA") if mode == "RGB" else None
    except (ImageCms.PyCMSError, OSError, KeyError, TypeError, ValueError):
        return None
    if mode == "CMYK":
        return _Transform(mode, transform)
    swatches = _swatches().convert(mode)
    extrema = ImageChops.difference(transform.apply(swatches), swatches.convert("RGB")).getextrema()
    changes = max(high for _, high in extrema) > JUST_NOTICEABLE  # type: ignore[misc]
    return _Transform(mode, transform, keep_alpha) if changes else _Transform(mode, None)


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
