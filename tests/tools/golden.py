"""The golden images of steps: what each step makes of a drawn image. Run as a program, it makes them anew."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from pipeline.presets.steps import read_step
from stages.steps.step import StepContext
from tests.support.images import encode_image
from tests.support.step_images import draw_cutout, draw_grey, draw_logo, draw_scene

FOLDER = Path(__file__).parents[1] / "unit" / "stages" / "golden"
_IMAGES = {"scene": draw_scene, "cutout": draw_cutout, "grey": draw_grey}
_BOX = {"width": 70, "height": 70}
_LOGO: dict[str, Any] = {"image": "logo.png"}
GOLDENS: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "crop": ({"crop": {"left": 20, "top": 10, "width": 40, "height": 50}}, "scene", {}),
    "crop-aspect-cutout": ({"crop": [1, 2]}, "cutout", {}),
    "crop-focus-dpr-2": ({"crop": {"aspect": [1, 1], "focus": "0.9,0.5"}}, "scene", {"dpr": 2}),
    "resize": ({"resize": 60}, "scene", {}),
    "resize-dpr-1.5": ({"resize": 60}, "scene", {"dpr": 1.5}),
    "resize-cover": ({"resize": {"width": 48, "height": 64, "fit": "cover"}}, "scene", {}),
    "resize-cover-auto": ({"resize": {"width": 32, "height": 64, "fit": "cover", "focus": "auto"}}, "scene", {}),
    "resize-contain": ({"resize": {**_BOX, "fit": "contain"}}, "scene", {"background": "#204080"}),
    "resize-contain-cutout": ({"resize": {**_BOX, "fit": "contain"}}, "cutout", {}),
    "resize-contain-grey-on-red": ({"resize": {**_BOX, "fit": "contain"}}, "grey", {"background": "#c02020"}),
    "resize-fill": ({"resize": {"width": 40, "height": 100, "fit": "fill", "enlarge": True}}, "scene", {}),
    "resize-enlarge-cutout": ({"resize": {"width": 200, "enlarge": True}}, "cutout", {}),
    "grayscale": ("grayscale", "scene", {}),
    "grayscale-cutout": ("grayscale", "cutout", {}),
    "blur": ("blur", "scene", {}),
    "blur-8": ({"blur": 8}, "scene", {}),
    "blur-4-cutout": ({"blur": 4}, "cutout", {}),
    "blur-dpr-2": ("blur", "scene", {"dpr": 2}),
    "sharpen": ("sharpen", "scene", {}),
    "sharpen-strong": ({"sharpen": {"radius": 2, "amount": 2}}, "scene", {}),
    "sharpen-cutout": ({"sharpen": {"radius": 2, "amount": 2}}, "cutout", {}),
    "rotate-90": ({"rotate": 90}, "scene", {}),
    "rotate-15": ({"rotate": 15}, "scene", {"background": "#204080"}),
    "rotate-back-40-clear": ({"rotate": -40}, "scene", {"background": "#ffffff00"}),
    "rotate-15-cutout": ({"rotate": 15}, "cutout", {}),
    "rotate-15-grey-on-red": ({"rotate": 15}, "grey", {"background": "#c02020"}),
    "flip": ("flip", "scene", {}),
    "flip-vertical": ({"flip": "vertical"}, "scene", {}),
    "flip-both-cutout": ({"flip": "both"}, "cutout", {}),
    "modulate-brightness": ({"modulate": {"brightness": 1.3}}, "scene", {}),
    "modulate-saturation": ({"modulate": {"saturation": 1.8}}, "scene", {}),
    "modulate-hue": ({"modulate": {"hue": 120}}, "scene", {}),
    "modulate-faded-cutout": ({"modulate": {"saturation": 0.4, "lightness": 20}}, "cutout", {}),
    "round": ("round", "scene", {}),
    "round-20": ({"round": 20}, "scene", {}),
    "round-grey": ("round", "grey", {}),
    "pad-8": ({"pad": 8}, "scene", {"background": "#c02020"}),
    "pad-sides-dpr-2": ({"pad": {"pixels": 2, "left": 12}}, "scene", {"dpr": 2}),
    "pad-8-cutout": ({"pad": 8}, "cutout", {}),
    "watermark": ({"watermark": "logo.png"}, "scene", {}),
    "watermark-half": ({"watermark": {**_LOGO, "anchor": "centre", "size": 0.6, "opacity": 0.5}}, "scene", {}),
    "watermark-north-cutout": ({"watermark": {**_LOGO, "anchor": "north", "size": 0.4, "margin": 0}}, "cutout", {}),
    "watermark-west-grey": ({"watermark": {**_LOGO, "anchor": "west", "size": 0.4}}, "grey", {}),
}
"""By name: the step as it is written, the image that it takes, and what else its context has."""


def draw_source(name: str) -> Image.Image:
    """Return the image that a golden image is made of."""
    return _IMAGES[GOLDENS[name][1]]()


def make_golden(name: str) -> Image.Image:
    """Return what the step makes of its image now."""
    written, _, known = GOLDENS[name]
    context = StepContext(assets={"logo.png": encode_image(draw_logo())}, **known)
    return read_step(written).apply(draw_source(name), context)


def write_goldens(folder: Path) -> None:
    """Write all golden images, and remove those that have no name any more."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.png"):
        file.unlink()
    for name in GOLDENS:
        make_golden(name).save(folder / f"{name}.png", optimize=True)


def draw_sheet(folder: Path) -> Image.Image:
    """Draw all golden images of a folder on one sheet, on grey and twice as large, to be looked at."""
    files, columns, cell = sorted(folder.glob("*.png")), 6, 340
    sheet = Image.new("RGB", (columns * cell, -(-len(files) // columns) * cell), "#909090")
    for number, file in enumerate(files):
        with Image.open(file) as image:
            large = ImageOps.scale(image.convert("RGBA"), 1.8, Image.Resampling.NEAREST)
        place = number % columns * cell, number // columns * cell
        sheet.paste(large, place, large)
    return sheet


def main(arguments: list[str]) -> None:
    """Make the golden images; with `--sheet FILE`, draw those that are there on one sheet instead."""
    if arguments[:1] == ["--sheet"]:
        draw_sheet(FOLDER).save(arguments[1])
        return
    write_goldens(FOLDER)


if __name__ == "__main__":
    main(sys.argv[1:])
