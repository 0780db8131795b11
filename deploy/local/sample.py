"""Draws a sample photo, stored as a phone held upright stores one."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFilter
from PIL.ExifTags import GPS, IFD, Base

UPRIGHT = (3024, 4032)  # 12 megapixels; stored rotated by 90 degrees
ON_ITS_SIDE = 6  # the EXIF orientation that tells viewers to turn it upright
SKETCH = (756, 1008)
SKY, DUSK, SUN = (70, 120, 190), (250, 190, 130), (255, 236, 190)
HILLS = ((96, 116, 128), (70, 92, 88), (42, 62, 52))


def draw_sample(file: Path) -> Path:
    """Write a 12-megapixel JPEG with grain, EXIF orientation 6, a camera name and a GPS position. Return its path."""
    upright = _landscape().resize(UPRIGHT, Image.Resampling.BICUBIC)
    photo = _add_grain(upright).transpose(Image.Transpose.ROTATE_90)
    photo.save(file, quality=92, exif=_exif())
    return file


def _landscape() -> Image.Image:
    width, height = SKETCH
    gradient = Image.linear_gradient("L").resize(SKETCH)
    scene = Image.composite(Image.new("RGB", SKETCH, DUSK), Image.new("RGB", SKETCH, SKY), gradient)
    pen = ImageDraw.Draw(scene)
    pen.ellipse((480, 250, 620, 390), fill=SUN)
    for index, colour in enumerate(HILLS):
        base, rise = 560 + 130 * index, 150 - 20 * index
        peaks = [(x, base - rise * ((x // 126 + index) % 2)) for x in range(-126, width + 252, 126)]
        pen.polygon([(-126, height), *peaks, (width + 126, height)], fill=colour)
    return scene.filter(ImageFilter.GaussianBlur(1.5))


def _add_grain(photo: Image.Image) -> Image.Image:
    """Add sensor noise: without it, a drawn picture has far fewer bytes and is faster to process than a photo."""
    grain = Image.effect_noise((1024, 1024), 18)
    tiled = Image.new("L", photo.size)
    for left in range(0, photo.width, grain.width):
        for top in range(0, photo.height, grain.height):
            tiled.paste(grain, (left, top))
    return ImageChops.add(photo, Image.merge("RGB", [tiled] * 3), offset=-128)


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[Base.Make], exif[Base.Model] = "Darkroom", "Sample"
    exif[Base.Orientation] = ON_ITS_SIDE
    position = exif.get_ifd(IFD.GPSInfo)
    position[GPS.GPSLatitudeRef], position[GPS.GPSLatitude] = "N", (48.0, 51.0, 29.6)
    position[GPS.GPSLongitudeRef], position[GPS.GPSLongitude] = "E", (2.0, 17.0, 40.2)
    return exif
