"""What steps know of alpha and of the background: how to add it, and what colour lies behind what they add."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import ImageColor

from stages.background import is_transparent

if TYPE_CHECKING:
    from PIL import Image

ADD_ALPHA = {"L": "LA", "RGB": "RGBA"}
PREMULTIPLY = {"LA": "La", "RGBA": "RGBa"}
_MODES = {(True, True): "LA", (True, False): "L", (False, True): "RGBA", (False, False): "RGB"}


def add_alpha(image: Image.Image) -> Image.Image:
    """Return the image as LA or RGBA; what has alpha is returned as it is."""
    return image.convert(ADD_ALPHA[image.mode]) if image.mode in ADD_ALPHA else image


def surrounded_mode(image: Image.Image, background: str) -> str:
    """Return the mode of the image with a background around it.

    What has alpha, or a transparent background, keeps or gets alpha: the background is then added by formats without
    alpha. A grey image becomes a coloured one only for a background that has a colour and is seen.
    """
    has_alpha = image.mode in PREMULTIPLY or is_transparent(background)
    red, green, blue = ImageColor.getrgb(background)[:3]
    return _MODES[image.mode in ("L", "LA") and (has_alpha or red == green == blue), has_alpha]
