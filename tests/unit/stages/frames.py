"""The frames of an animation as the stages decode them."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image

from stages.decode import open_image
from stages.limits import Limits


def decode_frames(original: bytes) -> Iterator[Image.Image]:
    """Yield each frame as it is shown: the image changes with the next one."""
    opened = open_image(original, limits=Limits(), all_frames=True)
    for number in range(opened.frames):
        opened.image.seek(number)
        opened.image.load()
        yield opened.image
