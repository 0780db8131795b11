"""The focus `faces`, where its detector is installed: a drawn face decides, and without one the subject does."""

from __future__ import annotations

import pytest
from PIL import Image, ImageDraw, ImageFilter

from stages.focus.boxes import focus_box
from stages.focus.find import find_focus
from stages.focus.spelling import HAS_FACES, parse_focus

pytestmark = pytest.mark.skipif(not HAS_FACES, reason="the dependency group faces is not installed")


def draw_face(side: int) -> Image.Image:
    """Return a grey face that the detector takes for one: dark hair, eyes, brows, a nose and a mouth."""
    image = Image.new("L", (side, side), 110)
    draw = ImageDraw.Draw(image)

    def oval(x: float, y: float, width: float, height: float, grey: int) -> None:
        corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        draw.ellipse([corner * side for corner in corners], fill=grey)

    oval(0.5, 0.5, 0.72, 0.92, 60)
    oval(0.5, 0.54, 0.6, 0.76, 200)
    for x in (0.37, 0.63):
        oval(x, 0.47, 0.17, 0.09, 110)
        oval(x, 0.47, 0.07, 0.08, 30)
        brow = [((x - 0.09) * side, 0.39 * side), (x * side, 0.365 * side), ((x + 0.09) * side, 0.39 * side)]
        draw.line(brow, fill=60, width=side // 40)
    draw.polygon([(0.5 * side, 0.48 * side), (0.44 * side, 0.64 * side), (0.56 * side, 0.64 * side)], fill=170)
    oval(0.5, 0.76, 0.24, 0.07, 100)
    return image.filter(ImageFilter.GaussianBlur(side / 100))


def draw_scene(size: tuple[int, int], *, face: tuple[int, int] | None, side: int = 160) -> Image.Image:
    """Return an image with a bright striped board at its right, which `auto` prefers, and perhaps a face."""
    image = Image.new("RGB", size, "#6e6e6e")
    left = size[0] - size[1]
    for row in range(0, size[1], 12):
        ImageDraw.Draw(image).rectangle([left, row, size[0], row + 5], fill="#ffd000")
    if face:
        image.paste(draw_face(side), face)
    return image


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_a_face_stays_in_the_crop_where_something_else_stands_out_more(mode: str) -> None:
    image = draw_scene((900, 300), face=(60, 70)).convert(mode)

    auto, faces = (find_focus(image, parse_focus(focus), (1, 1)) for focus in ("auto", "faces"))

    assert auto[0] > 0.6
    box = focus_box(image.size, (1, 1), faces)
    assert box[0] <= 90
    assert box[2] >= 190


def test_a_face_in_a_small_image_is_found() -> None:
    image = draw_scene((240, 80), face=(10, 10), side=60)

    assert find_focus(image, "faces", (1, 1))[0] < 0.3


def test_an_image_without_a_face_is_cut_as_by_auto() -> None:
    image = draw_scene((900, 300), face=None)

    assert find_focus(image, "faces", (1, 1)) == find_focus(image, "auto", (1, 1))


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (3, 2)])
def test_a_tiny_image_has_no_face_and_a_centre(size: tuple[int, int]) -> None:
    assert find_focus(Image.new("RGB", size), "faces", (4, 3)) == (0.5, 0.5)
