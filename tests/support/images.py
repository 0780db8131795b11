"""Test images, drawn in code: what cameras, scanners and browsers send, in every layout the stages must take."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable
from functools import cache
from random import Random

from PIL import Image, ImageChops, ImageDraw

_CAREFUL: dict[str, dict[str, object]] = {"webp": {"lossless": True}, "jpeg": {"quality": 95}, "avif": {"quality": 90}}
_GRAIN = [112 + level // 8 for level in range(256)]  # grey, 16 levels up or down
CELL = 16  # whole JPEG blocks, so that a cell's centre keeps its colour
GRID = (((220, 30, 30), (30, 200, 30), (30, 30, 220)), ((240, 240, 30), (30, 220, 220), (20, 20, 20)))
# Exif 2.32, 4.6.4 A: where the stored rows and columns begin on the picture as seen.
_ROWS = {1: "top", 2: "top", 3: "bottom", 4: "bottom", 5: "left", 6: "right", 7: "right", 8: "left"}
_COLUMNS = {1: "left", 2: "right", 3: "right", 4: "left", 5: "top", 6: "top", 7: "bottom", 8: "bottom"}


def encode_image(image: Image.Image, format: str = "png", **options: object) -> bytes:  # noqa: A002
    """Encode with Pillow, lossless or nearly, metadata as given in the options."""
    content = io.BytesIO()
    image.save(content, format=format.upper(), **{**_CAREFUL.get(format, {}), **options})
    return content.getvalue()


def decode_image(content: bytes) -> Image.Image:
    """Open and load with Pillow alone."""
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


@cache
def photo(width: int = 96, height: int = 64) -> Image.Image:
    """Draw something like a photograph: gradients under grain, no two corners alike, opaque RGB."""
    across = Image.linear_gradient("L").rotate(90).resize((width, height))
    down = Image.linear_gradient("L").resize((width, height))
    round_ = Image.radial_gradient("L").resize((width, height))
    noise = Random(width).randbytes(width * height)  # noqa: S311  grain, not a secret
    grain = Image.frombytes("L", (width, height), noise).point(_GRAIN)
    return Image.merge("RGB", [ImageChops.add(band, grain, 2) for band in (across, down, round_)])


@cache
def photo_file(width: int = 96, height: int = 64) -> bytes:
    """Encode the same as a JPEG; a large one takes a second, so it is made where it is used."""
    return encode_image(photo(width, height), "jpeg")


@cache
def cutout(width: int = 96, height: int = 64, colour: tuple[int, int, int] = (250, 20, 20)) -> Image.Image:
    """Draw an opaque disc of one colour on transparent black, the trap for resizing with straight alpha."""
    image = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    box = (width // 8, height // 8, width - width // 8, height - height // 8)
    ImageDraw.Draw(image).ellipse(box, fill=(*colour, 255))
    return image


@cache
def draw_colour_grid() -> Image.Image:
    """Draw the three by two coloured cells of GRID, so that each orientation shows."""
    image = Image.new("RGB", (3, 2))
    for y, row in enumerate(GRID):
        for x, colour in enumerate(row):
            image.putpixel((x, y), colour)
    return image.resize((3 * CELL, 2 * CELL), Image.Resampling.NEAREST)


@cache
def draw_stored_grid(orientation: int) -> Image.Image:
    """Lay `draw_colour_grid()` out as a camera stores it under an EXIF orientation, pixel by pixel, as EXIF says."""
    shown = draw_colour_grid()
    size = shown.size if _ROWS[orientation] in ("top", "bottom") else shown.size[::-1]
    image = Image.new("RGB", size)
    for row in range(image.height):
        for column in range(image.width):
            seen = {}
            for side, index in ((_ROWS[orientation], row), (_COLUMNS[orientation], column)):
                axis = 1 if side in ("top", "bottom") else 0
                seen[axis] = index if side in ("top", "left") else shown.size[axis] - 1 - index
            image.putpixel((column, row), shown.getpixel((seen[0], seen[1])))  # type: ignore[arg-type]
    return image


def exif(orientation: int = 1, *, gps: bool = True) -> bytes:
    """Build an EXIF block with an orientation, a camera's name and a place."""
    block = Image.Exif()
    block[0x0112], block[0x010F] = orientation, "Tattletale"
    if gps:
        block.get_ifd(0x8825).update({1: "N", 2: (52.0, 5.0, 29.0), 3: "E", 4: (4.0, 18.0, 26.0)})
    return block.tobytes()


def xmp(orientation: int) -> bytes:
    """Build an XMP packet with an orientation."""
    return (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="%d"/></rdf:RDF></x:xmpmeta>'
    ) % orientation


def encode_oriented_grid(format: str, orientation: int) -> bytes:  # noqa: A002
    """Encode `draw_colour_grid()` stored under an EXIF orientation, with GPS."""
    return encode_image(draw_stored_grid(orientation), format, exif=exif(orientation))


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    """Build a PNG chunk with its checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def build_png(
    *parts: bytes, size: tuple[int, int] = (8, 8), depth: int = 8, colour: int = 6, interlace: int = 0
) -> bytes:
    """Return a PNG of a header and these chunks, and an end."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, interlace))
    return b"\x89PNG\r\n\x1a\n" + b"".join((header, *parts, chunk(b"IEND")))


def png(  # noqa: PLR0913  a PNG has this many parts
    width: int,
    height: int,
    *,
    depth: int,
    colour: int,
    rows: list[bytes],
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """Build a PNG of any depth and colour type from packed rows, with chunks before and after its pixels."""
    pixels = chunk(b"IDAT", pack_rows(rows))
    return build_png(before, pixels, after, size=(width, height), depth=depth, colour=colour)


def pack_rows(rows: Iterable[bytes]) -> bytes:
    """Compress rows, none of them filtered."""
    return zlib.compress(b"".join(b"\0" + row for row in rows))


def pack_samples(*values: int) -> bytes:
    """Pack 16-bit samples as PNG stores them."""
    return struct.pack(f">{len(values)}H", *values)


def animation(format: str, frames: int = 3, size: tuple[int, int] = (48, 32), **options: object) -> bytes:  # noqa: A002
    """Encode a gif, webp, png or avif whose frames run red, green, blue and round again, 50, 60, 70 ... ms each."""
    colours = ((230, 20, 20), (20, 200, 20), (20, 20, 230))
    pictures = [Image.new("RGB", size, colours[number % 3]) for number in range(frames)]
    for number, picture in enumerate(pictures):  # no two frames alike, or encoders would merge them
        picture.putpixel((number % size[0], number // size[0]), (255, 255, 255))
    durations = [50 + 10 * number for number in range(frames)]
    fixed: dict[str, object] = {"save_all": True, "append_images": pictures[1:], "duration": durations, "loop": 2}
    return encode_image(pictures[0], format, **{**fixed, **options})


D50 = (0.9642, 1.0, 0.8249)
PRIMARIES = {  # XYZ of red, green and blue, adapted to D50 as profiles hold them
    "srgb": ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)),
    "p3": ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)),
    "adobe": ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)),
}


def rgb_profile(space: str, gamma: float = 2.2) -> bytes:
    """Build a matrix profile from PRIMARIES and one exponent."""
    colorants = zip((b"rXYZ", b"gXYZ", b"bXYZ"), PRIMARIES[space], strict=True)
    tags = {name: _xyz(value) for name, value in colorants}
    return _profile(b"RGB ", {**tags, **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(gamma))})


def grey_profile(gamma: float) -> bytes:
    """Build a grey profile of one exponent."""
    return _profile(b"GRAY", {b"kTRC": _curve(gamma)})


def cmyk_profile(*, black: int = 0, perceptual_black: int = 0) -> bytes:
    """Build a press that prints nothing but grey: L* falls with the mean ink, and a* and b* are nought.

    `black` is the L* of all inks, and `perceptual_black` that of the perceptual intent, 0 to 255 for 0 to 100.
    """
    identity = struct.pack(">9i", *(65536 if cell % 4 == 0 else 0 for cell in range(9)))
    ramp = bytes(range(256))

    def table(channels: tuple[int, int], values: bytes) -> bytes:
        return b"mft1\0\0\0\0" + bytes((*channels, 2, 0)) + identity + ramp * channels[0] + values + ramp * channels[1]

    def grey(darkest: int) -> bytes:
        inks = (corner.bit_count() for corner in range(16))
        return table((4, 3), b"".join(bytes((255 - (255 - darkest) * count // 4, 128, 128)) for count in inks))

    separation = table((3, 4), b"\xff" * 16 + b"\0" * 16)  # by L* alone, which changes slowest
    return _profile(
        b"CMYK", {b"A2B0": grey(perceptual_black), b"A2B1": grey(black), b"B2A0": separation}, pcs=b"Lab ", kind=b"prtr"
    )


def _profile(space: bytes, tags: dict[bytes, bytes], *, pcs: bytes = b"XYZ ", kind: bytes = b"mntr") -> bytes:
    """Lay out an ICC profile, version 2.1: ICC.1:2001-04, 6."""
    tags = {**tags, b"wtpt": _xyz(D50)}
    table, body, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        padded = value + b"\0" * (-len(value) % 4)
        table += struct.pack(">4sII", name, start + len(body), len(value))
        body += padded
    header = struct.pack(">I4sI4s4s4s", start + len(body), b"none", 0x02100000, kind, space, pcs)
    header += b"\0" * 12 + b"acsp" + b"\0" * 28 + _xyz(D50)[8:] + b"\0" * 48
    return header + table + body


def _xyz(value: tuple[float, float, float]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(part * 65536) for part in value))


def _curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
