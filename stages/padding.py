"""Padding: lay an image on a larger plain one."""

from __future__ import annotations

from PIL import Image, ImageColor

from stages.background import is_transparent

_WITH_ALPHA = {"L": "LA", "RGB": "RGBA"}


def pad(
    image: Image.Image, size: tuple[int, int], background: str, place: tuple[int, int] | None = None
) -> Image.Image:
    """Return the image on `size` pixels of the background; an image of this size is returned as it is.

    It lies in the middle, or at `place`, which is its left and its top.
    The image is L, LA, RGB or RGBA. It gets alpha if the background is transparent, and colours if that has one. The
    padding of an image with alpha is transparent.
    """
    if image.size == size:
        return image
    red, green, blue = ImageColor.getrgb(background)[:3]
    if is_transparent(background):
        image = image.convert(_WITH_ALPHA.get(image.mode, image.mode))
    elif image.mode == "L" and not red == green == blue:
        image = image.convert("RGB")
    colour = {"L": (red,), "LA": (red, 0), "RGB": (red, green, blue), "RGBA": (red, green, blue, 0)}[image.mode]
    canvas = Image.new(image.mode, size, colour if len(colour) > 1 else colour[0])
    canvas.paste(image, place or ((size[0] - image.width) // 2, (size[1] - image.height) // 2))
    return canvas
