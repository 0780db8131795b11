"""What the fuzzer starts from: small files, drawn in code, of every accepted format in the ways that differ inside."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from PIL import Image, ImageCms

from tests.support.apng import build_apng, plain_frame
from tests.support.avif import (
    avif,
    coded,
    gain_mapped,
    light_level,
    nclx,
    restate_colours,
    restate_duration,
    separate_associations,
)
from tests.support.bmps import MASKS_32, bmp
from tests.support.gifs import control, filled, gif, loop
from tests.support.images import (
    animation,
    build_png,
    chunk,
    cutout,
    encode_image,
    exif,
    grey_profile,
    pack_rows,
    pack_samples,
    photo,
    png,
    rgb_profile,
    xmp,
)
from tests.support.tiff import DEFLATE, FLOAT, GREY, PALETTE, RAW, YCBCR, TiffPage, write_tiff
from tests.support.webps import webp, webp_frame

SIZE = (40, 30)  # small, so that a mutation seldom hits nothing but pixels
P3 = rgb_profile("p3")


@cache
def draw_seed_files(format: str) -> tuple[bytes, ...]:  # noqa: A002
    """Return the specimens of one accepted format."""
    return tuple(_DRAWN[format]())


def heic(image: Image.Image, *others: Image.Image, **options: object) -> bytes:
    """Encode with pillow-heif, several pictures in one file where there are others."""
    from pillow_heif import from_pillow  # noqa: PLC0415  an optional dependency

    container, content = from_pillow(image), io.BytesIO()
    for other in others:
        container.add_from_pillow(other)
    container.save(content, **{"quality": 60, **options})
    return content.getvalue()


def _small() -> Image.Image:
    return photo(*SIZE)


def _grey() -> Image.Image:
    return _small().convert("L")


def _palette() -> Image.Image:
    return _small().quantize(16)


def _cut() -> Image.Image:
    return cutout(*SIZE)


def _jpeg() -> Iterator[bytes]:
    for image in (_small(), _grey(), _small().convert("CMYK")):
        yield encode_image(image, "jpeg", quality=60)
        yield encode_image(image, "jpeg", progressive=True)
    yield encode_image(_small(), "jpeg", subsampling="4:4:4", optimize=True, restart_marker_blocks=2)
    yield encode_image(_small(), "jpeg", progressive=True, restart_marker_rows=1)
    yield encode_image(_small(), "jpeg", exif=exif(6), icc_profile=P3, xmp=xmp(3), comment="Tattletale")


def _png() -> Iterator[bytes]:
    for image in (_small(), _grey(), _palette(), _cut(), _cut().convert("LA"), _grey().convert("1")):
        yield encode_image(image)
    light = chunk(b"cLLI", struct.pack(">II", 4_000_000, 0)) + chunk(b"mDCV", struct.pack(">8HII", *range(8), 9, 1))
    yield png(2, 1, depth=8, colour=2, rows=[bytes(range(6))], before=chunk(b"cICP", b"\x09\x10\0\1") + light)
    primaries = (31_270, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000)
    gamma = chunk(b"gAMA", struct.pack(">I", 55_000)) + chunk(b"cHRM", struct.pack(">8I", *primaries))
    yield png(2, 1, depth=8, colour=2, rows=[bytes(range(6))], before=gamma)
    yield encode_image(_palette(), transparency=bytes(range(16)))
    yield encode_image(_small(), transparency=(1, 2, 3), exif=exif(8), icc_profile=P3)
    yield encode_image(Image.linear_gradient("L").resize(SIZE).convert("I;16"), icc_profile=grey_profile(1.8))
    for colour, channels in ((2, 3), (4, 2), (6, 4)):
        rows = [pack_samples(*range(row, row + 8 * channels)) for row in range(6)]
        yield png(8, 6, depth=16, colour=colour, rows=rows)
    yield animation("png", size=SIZE)
    yield encode_image(_small().copy(), save_all=True, append_images=[_cut(), _small()], default_image=True, disposal=2)
    yield encode_image(_cut().copy(), save_all=True, append_images=[_small(), _cut()], blend=1, disposal=1)
    texts = chunk(b"tEXt", b"a\0b"), chunk(b"zTXt", b"b\0\0" + zlib.compress(b"c")), chunk(b"pHYs", bytes(9))
    key = chunk(b"tRNS", pack_samples(1))
    yield png(4, 2, depth=2, colour=0, rows=[b"\x1b", b"\xe4"], before=key + b"".join(texts), after=texts[1])
    colours = chunk(b"gAMA", pack_samples(0, 45_455)), chunk(b"cHRM", bytes(32)), chunk(b"cICP", b"\x0c\x0d\0\1")
    key, rows = chunk(b"tRNS", pack_samples(1, 2, 3)), [pack_samples(1, 2, 3, 1, 2, 4)] * 2
    yield png(2, 2, depth=16, colour=2, rows=rows, before=key + b"".join(colours), after=chunk(b"eXIf", exif(6)[6:]))
    interlaced = [b"\x10", b"\x20", b"\x30", b"\x12", b"\x34", b"\x21\x32"]  # 4 x 3 pixels of 4 bits
    yield build_png(
        chunk(b"PLTE", bytes(12)), chunk(b"IDAT", pack_rows(interlaced)), size=(4, 3), depth=4, colour=3, interlace=1
    )
    frames = [plain_frame((250, 9, 9, 99), (3, 3), place=(2, 2), disposal=at % 3, blend=at % 2) for at in range(6)]
    yield build_apng(frames, default=plain_frame((9, 9, 9, 9)))
    profile = b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n8\n" + exif(6).hex().encode())
    metadata = chunk(b"zTXt", profile) + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(3))
    yield png(1, 1, depth=8, colour=0, rows=[b"\0"], after=metadata)


def _gif() -> Iterator[bytes]:
    yield encode_image(_palette(), "gif")
    yield encode_image(_palette(), "gif", interlace=0, comment="Tattletale")
    yield encode_image(_palette(), "gif", transparency=3)
    yield animation("gif", size=SIZE)
    for disposal in (1, 2, 3):
        frames = [_cut().rotate(30 * turn) for turn in range(1, 4)]
        yield encode_image(
            _cut().copy(), "gif", save_all=True, append_images=frames, disposal=disposal, duration=40, loop=0
        )
    for disposal, key in ((1, None), (2, None), (3, 2)):
        parts = (control(disposal=disposal, transparent=key) + filled(box, 1) for box in ((3, 2, 9, 7), (0, 0, 20, 4)))
        yield gif(loop(3), *parts, filled((18, 9, 7, 7), 3), screen=(20, 10))


def _webp() -> Iterator[bytes]:
    for image in (_small(), _cut()):
        yield encode_image(image, "webp")
        yield encode_image(image, "webp", lossless=False, quality=60)
    yield encode_image(_small(), "webp", exif=exif(5), icc_profile=P3, xmp=xmp(2))
    yield animation("webp", size=SIZE)
    parts = (webp_frame((at, 0), _small().resize((9, 7)), blends=at == 0, clears=True) for at in (0, 8))
    yield webp(SIZE, *parts)
    frames = [_cut().rotate(40), _small()]
    yield encode_image(
        _cut().copy(), "webp", save_all=True, append_images=frames, lossless=False, exif=exif(6), duration=20
    )


def _tiff() -> Iterator[bytes]:
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "lzma", "zstd"):
        yield encode_image(_small(), "tiff", compression=compression)
    for compression in ("group3", "group4", "tiff_ccitt"):
        yield encode_image(_grey().convert("1"), "tiff", compression=compression)
    lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    yield encode_image(lab.apply(_small()), "tiff")
    for mode in ("L", "CMYK", "YCbCr", "F", "I", "LA", "RGBA"):
        yield encode_image(_small().convert(mode), "tiff")
    yield encode_image(_palette(), "tiff")
    yield encode_image(_grey().convert("I;16"), "tiff", tiffinfo={262: 0})
    yield encode_image(_grey().convert("I;16B"), "tiff")
    yield encode_image(
        _small(), "tiff", compression="tiff_lzw", tiffinfo={317: 2, 278: 7}, exif=exif(6), icc_profile=P3
    )
    yield encode_image(_small(), "tiff", big_tiff=True)
    yield encode_image(_small().copy(), "tiff", save_all=True, append_images=[_grey(), _cut()])
    yield from (write_tiff(page, order=order) for page in _layouts() for order in "<>")
    thumbnail = TiffPage(rows=[[(9, 9, 9)] * 4] * 3, tags={254: [1]})
    yield write_tiff(thumbnail, TiffPage(rows=_rows(_small()), compression=DEFLATE), big=True)
    yield write_tiff(replace(thumbnail, below=[thumbnail, TiffPage(rows=_rows(_small()))]), thumbnail)


def _layouts() -> Iterator[TiffPage]:
    """Yield pages that Pillow does not write: deep, in planes and tiles, with extra samples, subsampled."""
    grey, colours, alpha = _rows(_grey()), _rows(_small()), _rows(_cut())
    for compression in (RAW, DEFLATE):
        for tile in ((0, 0), (16, 16)):
            stored = TiffPage(compression=compression, tile=tile)
            yield from (replace(stored, rows=colours, bits=bits, planar=True) for bits in (8, 16))
            yield from (replace(stored, rows=alpha, bits=bits, planar=True, extra=(1,)) for bits in (8, 16))
            yield replace(stored, rows=[[(*pixel, 7) for pixel in row] for row in alpha], extra=(2, 0))
            yield from (replace(stored, rows=grey, photometric=GREY, bits=bits) for bits in (4, 8, 12, 16, 32))
            yield replace(stored, rows=grey, photometric=GREY, bits=64, sample_format=FLOAT)
            yield replace(stored, rows=_rows(_cut().convert("LA")), photometric=GREY, bits=16, extra=(2,))
            yield replace(stored, rows=grey, photometric=PALETTE, tags={320: [*range(256)] * 3})
    yield TiffPage(rows=grey, photometric=GREY, bits=16, compression=DEFLATE, predictor=2, rows_per_strip=7)
    yield TiffPage(rows=grey, photometric=GREY, fill_order=2)
    size: dict[int, Sequence[int] | None] = {256: [16], 257: [8], 278: [8]}
    yield TiffPage(photometric=YCBCR, chunks=[bytes(range(192))], tags={**size, 530: [2, 2]})
    jpeg = encode_image(_small(), "jpeg")
    size = {256: [SIZE[0]], 257: [SIZE[1]], 278: [SIZE[1]]}
    yield TiffPage(photometric=YCBCR, compression=6, chunks=[jpeg], tags={**size, 513: [8], 514: [len(jpeg)]})


def _rows(image: Image.Image) -> list[list[tuple[int, ...]]]:
    content, bands = image.tobytes(), len(image.getbands())
    pixels = [tuple(content[start : start + bands]) for start in range(0, len(content), bands)]
    return [pixels[start : start + image.width] for start in range(0, len(pixels), image.width)]


def _bmp() -> Iterator[bytes]:
    for image in (_small(), _grey(), _palette(), _grey().convert("1"), _cut()):
        yield encode_image(image, "bmp")
    yield b"BM" + struct.pack("<IHHIIHHHH", 0, 0, 0, 26, 12, 4, 2, 1, 24) + bytes(24)
    palette, fields = bytes(range(256)) * 4, struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    yield _bitmap(8, 1, palette, b"\4\1\0\0\0\4\1\2\3\4\0\2\1\1\4\7\0\1")
    yield _bitmap(4, 2, palette[:64], b"\4\x12\0\0\0\4\x34\x56\0\0" * 2 + b"\0\1")
    yield _bitmap(16, 3, fields, bytes(range(32)))
    yield _bitmap(32, 3, struct.pack("<III", 0xFF0000, 0xFF00, 0xFF), bytes(range(64)))
    yield bmp((4, 4), 16, bytes(range(32)), coding=3, header=108, masks=(0xF00, 0xF0, 0xF, 0xF000))
    yield bmp((4, -4), 32, bytes(range(192, 256)), coding=6, masks=(0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000))
    yield bmp((4, 4), 32, bytes(range(64)), header=124, masks=(*MASKS_32, 0xFF000000))
    yield bmp((4, 4), 2, bytes(range(16)), palette=[(9, 9, 9), (200, 0, 0)], colours=2, gap=5)
    yield bmp((4, 4), 24, b"\2abc\0\2\1\1\1def\0\3ghijklmno\0\0\1", coding=4, header=64)


def _bitmap(bits: int, compression: int, tables: bytes, pixels: bytes) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, 4, 4, 1, bits, compression, len(pixels), 0, 0, 0, 0)
    start = 14 + len(header) + len(tables)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + tables + pixels


def _avif() -> Iterator[bytes]:
    bright = replace(coded((16, 16)), properties=(nclx(9, 16), light_level(4000)))
    yield from (avif(coded((16, 16))), avif(bright), gain_mapped(bright, coded((16, 16)), (12, 13)))
    for image in (_small(), _grey(), _cut()):
        yield encode_image(image, "avif", speed=10, quality=50)
    yield encode_image(_small(), "avif", speed=10, exif=exif(6), icc_profile=P3, subsampling="4:4:4", xmp=xmp(3))
    yield separate_associations(encode_image(_cut(), "avif", speed=10))
    yield restate_colours(encode_image(_small(), "avif", speed=10), 9, 16, 10, in_stream=True)
    # Of full range, Chromium shows animations with too much contrast.
    limited: dict[str, Any] = {"speed": 10, "range": "limited"}
    yield animation("avif", size=SIZE, **limited)
    yield restate_duration(animation("avif", size=SIZE, **limited), 3)
    yield encode_image(_cut().copy(), "avif", save_all=True, append_images=[_cut().rotate(40)], duration=30, **limited)


def _heic() -> Iterator[bytes]:
    for image in (_small(), _grey(), _cut()):
        yield heic(image)
    yield heic(_small(), exif=exif(6), icc_profile=P3, xmp=xmp(3))
    yield heic(_small(), _cut().convert("RGB"))
    yield heic(_small(), save_nclx_profile=True, color_primaries=9, transfer_characteristics=18)


_DRAWN: dict[str, Callable[[], Iterator[bytes]]] = {
    "jpeg": _jpeg,
    "png": _png,
    "gif": _gif,
    "webp": _webp,
    "tiff": _tiff,
    "bmp": _bmp,
    "avif": _avif,
    "heic": _heic,
}
