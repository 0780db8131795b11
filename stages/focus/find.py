"""The point of an image that a crop is centred on."""

from __future__ import annotations

from PIL import Image

from stages.focus.faces import face_map
from stages.focus.spelling import parse_point
from stages.focus.subject import subject_maps
from stages.focus.windows import WeightedMap, best_point

CENTRE = (0.5, 0.5)


def find_focus(image: Image.Image, focus: str, target: tuple[int, int]) -> tuple[float, float]:
    """Return the point (x, y) for a box of the target's aspect, in shares of the image's width and height.

    `focus` is a result of `parse_focus`. The image is upright, L, LA, RGB or RGBA, of any size; a small one will do.
    For `auto` the point is the middle of the box that keeps the subject best; for `faces`, of the box that keeps the
    faces best, or the subject if there are none. Without a subject it is the centre. Raises ValueError for an unknown
    focus, and for nothing else.
    """
    if focus == "centre":
        return CENTRE
    if focus in ("auto", "faces"):
        return best_point(image.size, target, _maps(image, focus)) or CENTRE
    point = parse_point(focus)
    if point is None:
        raise ValueError(f"There is no focus {focus}.")
    return point


def _maps(image: Image.Image, focus: str) -> list[WeightedMap]:
    faces = face_map(image) if focus == "faces" else None
    return [WeightedMap(faces, 1)] if faces else subject_maps(image)
