"""The image that steps are shown on, as a photograph and with alpha, and a logo: the same pixels on every machine."""

from __future__ import annotations

from functools import cache
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFont

SIZE = (160, 120)
_SKY = ((40, 236), (88, 200), (168, 180))  # red, green and blue at the top and at the bottom
_SWATCHES = ("#e02020", "#f0c020", "#20a040", "#2060e0", "#a040c0", "#f0f0f0", "#808080", "#101010")


@cache
def draw_scene() -> Image.Image:
    """Draw a sky, a sun, hills, swatches, fine lines, grain and a word: no two quarters alike, opaque RGB."""
    down = Image.linear_gradient("L").resize(SIZE)
    sky = [down.point([start + (end - start) * level // 255 for level in range(256)]) for start, end in _SKY]
    image = Image.merge("RGB", sky)
    draw = ImageDraw.Draw(image)
    draw.ellipse((108, 12, 140, 44), fill="#fff0b0")
    draw.polygon([(0, 78), (40, 46), (84, 84), (118, 60), (160, 92), (160, 120), (0, 120)], fill="#3a6a3c")
    draw.polygon([(0, 100), (60, 76), (120, 104), (160, 98), (160, 120), (0, 120)], fill="#24482c")
    for number, colour in enumerate(_SWATCHES):
        draw.rectangle((4 + 12 * number, 104, 13 + 12 * number, 115), fill=colour)
    for x in range(104, 154, 2):
        draw.line((x, 106, x, 115), fill="#ffffff")
    noise = Random(1).randbytes(32 * 20)  # noqa: S311  grain, not a secret
    image.paste(Image.frombytes("L", (32, 20), noise).convert("RGB"), (124, 82))
    draw.text((8, 8), "Darkroom 24", fill="#ffffff", font=ImageFont.load_default_imagefont())
    return image


@cache
def draw_cutout() -> Image.Image:
    """Draw the scene in a disc with a soft edge. Its transparent pixels are magenta, which no step may show."""
    radius = Image.radial_gradient("L").resize((150, 112))
    alpha = Image.new("L", SIZE)
    alpha.paste(radius.point([max(0, min(255, (176 - level) * 10)) for level in range(256)]), (5, 4))
    image = Image.new("RGBA", SIZE, "#ff00ff00")
    seen = alpha.point([255 if level else 0 for level in range(256)])
    image.paste(draw_scene(), mask=seen)
    image.putalpha(alpha)
    return image


@cache
def draw_grey() -> Image.Image:
    """Draw the scene in grey: L."""
    return draw_scene().convert("L")


@cache
def draw_logo() -> Image.Image:
    """Draw a red square and a white ring, half transparent between them: RGBA, twice as wide as high."""
    image = Image.new("RGBA", (96, 48), "#00000000")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 95, 47), fill="#00206080")
    draw.rectangle((4, 4, 43, 43), fill="#e02020")
    draw.ellipse((52, 4, 91, 43), outline="#ffffff", width=8)
    return image


def difference(found: Image.Image, expected: Image.Image) -> tuple[float, int]:
    """Return the mean and the largest difference of two images of one size in levels, as seen on black and on white."""
    means, largest = [0.0], 0
    for backdrop in ("#000000", "#ffffff"):
        seen = [
            Image.alpha_composite(Image.new("RGBA", image.size, backdrop), image.convert("RGBA")).convert("RGB")
            for image in (found, expected)
        ]
        for band in ImageChops.difference(*seen).split():
            counts = band.histogram()
            means.append(sum(level * count for level, count in enumerate(counts)) / sum(counts))
            largest = max(largest, *(level for level, count in enumerate(counts) if count))
    return max(means), largest
