"""Where the subject of an image is, without a model: in detail, in colours that its rim lacks, in what is opaque."""

from __future__ import annotations

from PIL import Image, ImageChops, ImageFilter

from stages.focus.small import bound, flatten, shrink
from stages.focus.windows import WeightedMap

# The two sides bound the cost: whatever the image's size, only so many pixels are compared and weighed.
DETAIL_SIDE, MAP_SIDE = 256, 64
COLOURS = 16
_SHARP = [min(255, 8 * max(0, difference - 1)) for difference in range(256)]  # a difference of 1 may be rounding


def subject_maps(image: Image.Image) -> list[WeightedMap]:
    """Return maps, at most MAP_SIDE pixels wide and high, of where the subject may be; all black if there is none."""
    fine = shrink(image, DETAIL_SIDE)
    coarse = bound(fine, MAP_SIDE, Image.Resampling.BOX)
    detail = _detail(flatten(fine)).resize(coarse.size, Image.Resampling.BOX)
    maps = [WeightedMap(detail, 2), WeightedMap(_inner_colours(flatten(coarse)), 1)]
    if coarse.mode == "RGB":
        return maps
    alpha = coarse.getchannel("A")
    return [*(WeightedMap(ImageChops.multiply(map_, alpha), weight) for map_, weight in maps), WeightedMap(alpha, 1)]


def _detail(image: Image.Image) -> Image.Image:
    """Return the detail of an RGB image: what a slight blur takes away. A subject in focus has more than its ground."""
    red, green, blue = ImageChops.difference(image, image.filter(ImageFilter.BoxBlur(1))).split()
    return ImageChops.lighter(ImageChops.lighter(red, green), blue).point(_SHARP)


def _inner_colours(image: Image.Image) -> Image.Image:
    """Return where an RGB image has colours that its rim, which mostly shows the ground, has less of than the whole."""
    colours = image.quantize(COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    whole = colours.histogram()
    rim = whole
    if min(image.size) > 2:  # noqa: PLR2004  a rim on both sides, and something within
        inner = colours.crop((1, 1, image.width - 1, image.height - 1)).histogram()
        rim = [count - within for count, within in zip(whole, inner, strict=True)]
    expected = sum(rim) / sum(whole)  # of each pixel, if a colour were on the rim as often as elsewhere
    lacking = [
        max(0.0, 1 - on_rim / (count * expected)) if count else 0.0 for on_rim, count in zip(rim, whole, strict=True)
    ]
    return colours.point([round(255 * share**2) for share in lacking], "L")
