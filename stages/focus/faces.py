"""Where the faces of an image are, if dlib is installed: its detector of frontal faces is part of the library."""

from __future__ import annotations

from functools import cache
from typing import Any

from PIL import Image, ImageDraw

from stages.focus.small import flatten, shrink
from stages.focus.spelling import HAS_FACES

FACE_SIDE = 640  # The detector finds faces of 80 pixels and more: an eighth of this.
MAP_SIDE = 64


def face_map(image: Image.Image) -> Image.Image | None:
    """Return a map, at most MAP_SIDE pixels wide and high, that is white where faces are; None if there are none."""
    if not HAS_FACES:
        return None
    import numpy as np  # noqa: PLC0415  an extra, and slow to import

    small = flatten(shrink(image, FACE_SIDE)).convert("L")
    doublings = int(2 * max(small.size) <= FACE_SIDE)
    faces = _detector()(np.asarray(small), doublings)
    if not faces:
        return None
    factor = min(1.0, MAP_SIDE / max(small.size))
    map_ = Image.new("L", (max(1, round(small.width * factor)), max(1, round(small.height * factor))))
    for face in faces:
        corners = (face.left(), face.top(), face.right(), face.bottom())
        ImageDraw.Draw(map_).rectangle([round(corner * factor) for corner in corners], fill=255)
    return map_


@cache
def _detector() -> Any:
    import dlib  # noqa: PLC0415  an extra, and slow to import

    return dlib.get_frontal_face_detector()
