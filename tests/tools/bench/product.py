"""The preset of a shop, the files that a system makes of a photo with it, and how they compare with the photo."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops, ImageDraw, ImageOps, ImageStat

from tests.tools.bench.similarity import ssim

NAME = "product"
CARD, EDGE = 400, 2000
LOGO_SIZE, OPACITY, MARGIN = 0.2, 0.6, 0.03
PRESET = f"""
[{NAME}]
fields = ["background"]
[{NAME}.renditions.card]
width = {CARD}
height = {CARD}
fit = "cover"
focus = "auto"
formats = ["avif", "webp", "jpeg"]
dpr = [1, 2]
quality = {{ avif = 55, webp = 75, jpeg = 80 }}
[{NAME}.renditions.zoom]
edge = {EDGE}
watermark = {{ image = "logo.png", anchor = "south-east", size = {LOGO_SIZE}, opacity = {OPACITY} }}
steps = ["grayscale"]
"""
SIDES = {
    f"card{suffix}.{extension}": CARD * density
    for density, suffix in ((1, ""), (2, "@2x"))
    for extension in ("avif", "webp", "jpg")
}
"""The sides of the square files."""
ZOOM = "zoom.jpg"
FILES = (*SIDES, ZOOM)
EXTENSIONS = {"jpeg": "jpg"}
COARSE = 8  # times smaller: where a crop is looked for first


@dataclass(frozen=True, slots=True)
class Likeness:
    """How many bytes a file has, and its SSIM to the photo, cut and scaled as the file is."""

    bytes: int
    ssim: float


def write_preset(folder: Path) -> Path:
    """Write the file of presets and the logo beside it; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    draw_logo().save(folder / "logo.png")
    file = folder / "presets.toml"
    file.write_text(PRESET, encoding="utf-8")
    return file


def draw_logo() -> Image.Image:
    """Draw a logo as shops have them: two colours, soft edges, a transparent ground."""
    large = Image.new("RGBA", (1600, 800), (255, 255, 255, 0))
    draw = ImageDraw.Draw(large)
    draw.rounded_rectangle((20, 20, 1580, 780), radius=200, outline=(255, 255, 255, 255), width=60)
    draw.ellipse((180, 200, 580, 600), fill=(220, 40, 30, 255))
    draw.rectangle((700, 340, 1400, 460), fill=(255, 255, 255, 255))
    return large.reduce(2)


def list_urls(status: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the name and the address of each file of a job of Darkroom."""
    for rendition, found in status["renditions"].items():
        for variant in found["variants"]:
            suffix = "" if variant["dpr"] == 1 else f"@{variant['dpr']:g}x"
            yield f"{rendition}{suffix}.{EXTENSIONS.get(variant['format'], variant['format'])}", variant["url"]


def check_files(files: Mapping[str, bytes]) -> None:
    """Raise RuntimeError unless all files are there, can be decoded, and have their sizes."""
    if set(files) != set(FILES):
        raise RuntimeError(f"the files are {', '.join(sorted(files))}")
    sizes = {name: decode(content).size for name, content in files.items()}
    wrong = {name: size for name, size in sizes.items() if name in SIDES and size != (SIDES[name], SIDES[name])}
    if wrong or max(sizes[ZOOM]) != EDGE:
        raise RuntimeError(f"wrong sizes: {wrong or sizes[ZOOM]}")


def compare_files(photo: bytes, files: Mapping[str, bytes]) -> dict[str, Likeness]:
    """Compare each file with the photo, which is in sRGB."""
    with Image.open(io.BytesIO(photo)) as opened:
        upright = ImageOps.exif_transpose(opened).convert("RGB")
    covers = {side: _cover(upright, side) for side in set(SIDES.values())}
    cards = {name: compare_card(covers[side], files[name]) for name, side in SIDES.items()}
    return cards | {ZOOM: _compare(files[ZOOM], draw_zoom(upright))}


def compare_card(cover: Image.Image, content: bytes) -> Likeness:
    """Compare a crop with the part that it shows of the whole photo at its size."""
    return _compare(content, cover.crop(find_crop(cover, decode(content))))


def find_crop(whole: Image.Image, part: Image.Image) -> tuple[int, int, int, int]:
    """Return the box of the whole image that looks most like the part, which is as wide or as high."""
    whole, part = whole.convert("L"), part.convert("L")
    reduced, part_reduced = whole.reduce(COARSE), part.reduce(COARSE)
    rough = min(_boxes(reduced.size, part_reduced.size), key=lambda box: _difference(reduced, part_reduced, box))
    near = [
        box
        for box in _boxes(whole.size, part.size)
        if all(abs(box[axis] - COARSE * rough[axis]) <= COARSE for axis in (0, 1))
    ]
    return min(near, key=lambda box: _difference(whole, part, box))


def draw_zoom(upright: Image.Image) -> Image.Image:
    """Draw what the rendition `zoom` should show."""
    image = ImageOps.contain(upright, (EDGE, EDGE), Image.Resampling.LANCZOS).convert("L").convert("RGB")
    logo = draw_logo()
    width = round(LOGO_SIZE * image.width)
    mark = logo.resize((width, round(width * logo.height / logo.width)), Image.Resampling.LANCZOS)
    margin = round(MARGIN * min(image.size))
    place = (image.width - mark.width - margin, image.height - mark.height - margin)
    image.paste(mark, place, mark.getchannel("A").point(lambda level: level * OPACITY))
    return image


def draw_sheet(cards: list[bytes], *, columns: int = 8, side: int = 200) -> Image.Image:
    """Draw cards beside each other, to be looked at."""
    sheet = Image.new("RGB", (columns * side, -(-len(cards) // columns) * side), "white")
    for index, card in enumerate(cards):
        sheet.paste(
            decode(card).resize((side - 4, side - 4)), (index % columns * side + 2, index // columns * side + 2)
        )
    return sheet


def decode(content: bytes) -> Image.Image:
    """Decode to RGB."""
    with Image.open(io.BytesIO(content)) as opened:
        return opened.convert("RGB")


def _compare(content: bytes, reference: Image.Image) -> Likeness:
    return Likeness(len(content), ssim(decode(content), reference))


def _cover(image: Image.Image, side: int) -> Image.Image:
    factor = side / min(image.size)
    size = max(side, round(image.width * factor)), max(side, round(image.height * factor))
    return image.resize(size, Image.Resampling.LANCZOS)


def _boxes(whole: tuple[int, int], part: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    free = max(0, whole[0] - part[0]), max(0, whole[1] - part[1])
    return [(left, top, left + part[0], top + part[1]) for left in range(free[0] + 1) for top in range(free[1] + 1)]


def _difference(whole: Image.Image, part: Image.Image, box: tuple[int, int, int, int]) -> float:
    return sum(ImageStat.Stat(ImageChops.difference(whole.crop(box), part)).sum)
