"""Small versions of an image, to look at rather than to show."""

from __future__ import annotations

from PIL import Image


def shrink(image: Image.Image, side: int) -> Image.Image:
    """Return an RGB or RGBA image whose long side is at most `side`; RGBA only if something in it is transparent.

    Reads at most twice as many columns and rows as it returns, so that a huge image costs no more than a large one.
    """
    image = bound(image, 2 * side, Image.Resampling.NEAREST)
    image = bound(image.convert("RGBA" if image.has_transparency_data else "RGB"), side, Image.Resampling.BOX)
    opaque = image.mode == "RGB" or image.getchannel("A").getextrema()[0] == 255  # noqa: PLR2004  the highest alpha
    return image.convert("RGB") if opaque else image


def flatten(image: Image.Image) -> Image.Image:
    """Return the RGB or RGBA image as it looks on white."""
    if image.mode == "RGB":
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def bound(image: Image.Image, side: int, resampling: Image.Resampling) -> Image.Image:
    """Return the image, scaled so that its long side is at most `side`."""
    factor = side / max(image.size)
    if factor >= 1:
        return image
    return image.resize((max(1, round(image.width * factor)), max(1, round(image.height * factor))), resampling)
