"""Images that ./run pixels draws: every format in each depth, layout, orientation and colour space it can state."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from tests.support.avif import restate_colours
from tests.support.bmps import bmp
from tests.support.images import (
    animation,
    chunk,
    cmyk_profile,
    cutout,
    encode_image,
    encode_oriented_grid,
    exif,
    grey_profile,
    photo,
    png,
    rgb_profile,
    xmp,
)
from tests.tools.fuzz.seed_files import draw_seed_files
from tests.tools.pixels.drawn_tiff import draw_tiffs

Drawn = Iterator[tuple[str, bytes]]
_SIZE = (64, 48)
_GAMMAS = {"gamma 0.45": 45455, "gamma 0.55": 55000, "gamma 1.0": 100000}  # PNG, 11.3.2.2: times 100,000
_PRIMARIES = {  # PNG, 11.3.2.1: white, red, green, blue, times 100,000
    "sRGB": (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
    "P3": (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000),
}
_CICP = {  # ITU-T H.273: colour primaries, transfer characteristics
    "sRGB": (1, 13), "BT.709": (1, 1), "linear": (1, 8), "gamma 2.2": (1, 4), "gamma 2.8": (1, 5), "P3": (12, 13),
    "BT.2020": (9, 14), "PQ": (9, 16), "P3 PQ": (12, 16), "HLG": (9, 18), "BT.601": (6, 6), "unspecified": (2, 2),
}  # fmt: skip
_SCENE = photo(*_SIZE)
_FADED = Image.merge("RGBA", [*_SCENE.split(), Image.linear_gradient("L").resize(_SIZE)])


def draw_images() -> Drawn:
    """Yield a file's name, which says what is in it, and its bytes."""
    for draw in (_pngs, _png_colours, _jpegs, _gifs, _apngs, _webps, _bmps, _avifs, draw_tiffs):
        yield from draw()
    for format_ in ("jpeg", "png", "gif", "webp", "tiff", "bmp", "avif"):
        for number, content in enumerate(draw_seed_files(format_)):
            yield f"fuzz seed {number}.{format_}", content
    for format_ in ("jpeg", "png", "webp", "tiff", "avif"):
        for orientation in range(1, 9):
            yield f"{format_} orientation {orientation}.{format_}", encode_oriented_grid(format_, orientation)


def write_images(folder: Path) -> None:
    """Write them all into a folder."""
    for name, content in draw_images():
        (folder / name).write_bytes(content)


def _pngs() -> Drawn:
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # PNG, table 7: colour types, and channels
    depths = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
    palette = chunk(b"PLTE", bytes(level * 7 % 256 for level in range(768)))
    transparent = {0: struct.pack(">H", 1), 2: struct.pack(">HHH", 0, 1, 2), 3: bytes(range(0, 256, 16))}
    for colour, channels in samples.items():
        for depth in depths[colour]:
            width = 32
            rows = [bytes((at * 5 + row * 9) % 256 for at in range(width * channels * depth // 8)) for row in range(24)]
            before = palette[:0] if colour != 3 else chunk(b"PLTE", palette[8 : 8 + 3 * 2**depth])
            make = partial(png, width, 24, depth=depth, colour=colour, rows=rows)
            yield f"png colour {colour} depth {depth}.png", make(before=before)
            if colour in transparent:
                trns = chunk(b"tRNS", transparent[colour][: 2**depth if colour == 3 else 6])
                yield f"png colour {colour} depth {depth} tRNS.png", make(before=before + trns)
    for depth in (1, 2, 4):
        key = chunk(b"tRNS", struct.pack(">H", 1 << depth))
        rows = [bytes(range(0, 16 * depth, 2))] * 24
        yield f"png grey depth {depth} tRNS beyond.png", png(64, 24, depth=depth, colour=0, rows=rows, before=key)
    whole = encode_image(_SCENE)
    damaged = chunk(b"tEXt", b"a\0b")[:-1] + b"\0"
    for name, content in {
        "wrong checksum in tEXt": whole[:33] + damaged + whole[33:],
        "without IEND": whole[:-12],
        "half of IEND": whole[:-6],
        "bytes behind IEND": whole + b"\n\0\0\0",
        "empty cHRM": whole[:33] + chunk(b"cHRM") + whole[33:],
        "short pHYs": whole[:33] + chunk(b"pHYs", b"\0\0") + whole[33:],
        "iCCP of method 1": whole[:33] + chunk(b"iCCP", b"a\0\1" + zlib.compress(b"x")) + whole[33:],
        "text of 2 MiB": whole[:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 21))) + whole[33:],
        "EXIF in a text": whole[:33] + _exif_text(6) + whole[33:],
        "graded alpha": encode_image(_FADED),
    }.items():
        yield f"png {name}.png", content


def _exif_text(orientation: int) -> bytes:
    """Build EXIF as ImageMagick writes it into a PNG, in a text."""
    block = exif(orientation)
    return chunk(b"tEXt", b"Raw profile type exif\0\nexif\n%8d\n%b\n" % (len(block), block.hex().encode()))


def _png_colours() -> Drawn:
    whole = encode_image(_SCENE)
    colours = {name: chunk(b"gAMA", struct.pack(">I", gamma)) for name, gamma in _GAMMAS.items()}
    colours |= {f"cICP {name}": chunk(b"cICP", bytes((*codes, 0, 1))) for name, codes in _CICP.items()}
    for name, points in _PRIMARIES.items():
        colours[f"gamma 0.45 cHRM {name}"] = colours["gamma 0.45"] + chunk(b"cHRM", struct.pack(">8I", *points))
        colours[f"cHRM {name}"] = chunk(b"cHRM", struct.pack(">8I", *points))
    colours["sRGB and gamma 1.0"] = chunk(b"sRGB", b"\0") + colours["gamma 1.0"]
    for name, profile in _profiles("srgb", "p3", "adobe").items():
        colours[name] = chunk(b"iCCP", b"a\0\0" + zlib.compress(profile))
    colours["cICP PQ and ICC"] = colours["cICP PQ"] + colours["ICC adobe"]
    colours["gamma 1.0 and ICC"] = colours["gamma 1.0"] + colours["ICC adobe"]
    grey = encode_image(_SCENE.convert("L"))
    for name, chunks in colours.items():
        yield f"png {name}.png", whole[:33] + chunks + whole[33:]
    for name in ("gamma 0.55", "gamma 1.0", "cICP PQ"):
        yield f"png grey {name}.png", grey[:33] + colours[name] + grey[33:]
    yield "png grey ICC.png", encode_image(_SCENE.convert("L"), icc_profile=grey_profile(1.0))


def _jpegs() -> Drawn:
    for mode in ("L", "RGB", "CMYK"):
        yield f"jpeg {mode}.jpg", encode_image(_SCENE.convert(mode), "jpeg")
        yield f"jpeg {mode} progressive.jpg", encode_image(_SCENE.convert(mode), "jpeg", progressive=True)
    for name, profile in _profiles("srgb", "p3", "adobe").items():
        yield f"jpeg {name}.jpg", encode_image(_SCENE, "jpeg", icc_profile=profile)
    yield "jpeg grey ICC.jpg", encode_image(_SCENE.convert("L"), "jpeg", icc_profile=grey_profile(1.0))
    yield "jpeg CMYK ICC.jpg", encode_image(_SCENE.convert("CMYK"), "jpeg", icc_profile=cmyk_profile())
    yield "jpeg XMP orientation.jpg", encode_image(_SCENE, "jpeg", xmp=xmp(6))
    yield "jpeg EXIF 8 and XMP 6.jpg", encode_image(_SCENE, "jpeg", exif=exif(8), xmp=xmp(6))
    large = encode_image(photo(640, 480), "jpeg", progressive=True)
    base = encode_image(photo(640, 480), "jpeg")
    for name, content in {"baseline": base, "progressive": large}.items():
        yield f"jpeg {name} cut with EOI.jpg", content[: len(content) // 2] + b"\xff\xd9"
        yield f"jpeg {name} without EOI.jpg", content[:-2]
        yield f"jpeg {name} with a tail.jpg", content + b"\0" * 1000 + b"\xff\xda" * 200
        yield f"jpeg {name} without EOI, with a tail.jpg", content[:-2] + b"SEFH" + bytes(500)


def _gifs() -> Drawn:
    palette = _SCENE.quantize(32)
    yield "gif palette.gif", encode_image(palette, "gif")
    yield "gif transparent.gif", encode_image(palette, "gif", transparency=3)
    part = encode_image(Image.new("P", (20, 20), 1), "gif", background=1)
    for name, tail in {"small frame": part[10:], "small frame, background 1": part[10:11] + b"\1" + part[12:]}.items():
        yield f"gif {name}.gif", part[:6] + struct.pack("<HH", *_SIZE) + tail
    for disposal in (1, 2, 3):
        frames: dict[str, Any] = {"append_images": [cutout(*_SIZE).rotate(40)], "save_all": True}
        yield f"gif disposal {disposal}.gif", encode_image(cutout(*_SIZE).copy(), "gif", disposal=disposal, **frames)
    yield "gif of 201 frames.gif", animation("gif", frames=201)


def _apngs() -> Drawn:
    frames: dict[str, Any] = {"save_all": True, "append_images": [cutout(*_SIZE), _SCENE.rotate(180)]}
    for default in (False, True):
        for disposal in (0, 1, 2):
            for blend in (0, 1):
                options: dict[str, Any] = {"default_image": default, "disposal": disposal, "blend": blend, **frames}
                name = f"default {default} disposal {disposal} blend {blend}"
                yield f"apng {name}.png", encode_image(_SCENE.copy(), **options)


def _webps() -> Drawn:
    for name, image in {"RGB": _SCENE, "RGBA": cutout(*_SIZE), "graded alpha": _FADED}.items():
        for lossless in (False, True):
            yield f"webp {name} lossless {lossless}.webp", encode_image(image, "webp", lossless=lossless)
    for name, profile in _profiles("p3", "adobe").items():
        yield f"webp {name}.webp", encode_image(_SCENE, "webp", icc_profile=profile)
    frames: dict[str, Any] = {
        "save_all": True,
        "append_images": [_SCENE.rotate(180)],
        "icc_profile": rgb_profile("adobe"),
    }
    yield "webp animation ICC adobe.webp", encode_image(_SCENE.copy(), "webp", **frames)
    yield "webp XMP orientation.webp", encode_image(_SCENE, "webp", xmp=xmp(6))


def _bmps() -> Drawn:
    masks = {
        "565": (16, (0xF800, 0x7E0, 0x1F, 0)),
        "555": (16, (0x7C00, 0x3E0, 0x1F, 0)),
        "1555": (16, (0x7C00, 0x3E0, 0x1F, 0x8000)),
        "4444": (16, (0xF00, 0xF0, 0xF, 0xF000)),
        "8888": (32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
        "rgba": (32, (0xFF, 0xFF00, 0xFF0000, 0xFF000000)),
        "1010102": (32, (0x3FF00000, 0xFFC00, 0x3FF, 0)),
    }
    for name, (bits, mask) in masks.items():
        pixels = bytes((at * 11) % 256 for at in range(32 * 24 * bits // 8))
        make = partial(bmp, (32, 24), bits, header=108, coding=3, masks=mask)
        yield f"bmp {name}.bmp", make(pixels=pixels)
        if mask[3]:
            clear = mask[3].to_bytes(bits // 8, "little") * (32 * 24)
            no_alpha = bytes(value & ~alpha for value, alpha in zip(pixels, clear, strict=True))
            yield f"bmp {name} alpha all 0.bmp", make(pixels=no_alpha)
        yield f"bmp {name} top down.bmp", bmp((32, -24), bits, pixels, header=108, coding=3, masks=mask)
    whole = encode_image(_SCENE.crop((0, 0, 63, 48)), "bmp")
    for missing in (1, 3, 4):
        yield f"bmp lacks {missing} bytes.bmp", whole[:-missing]


def _avifs() -> Drawn:
    make = partial(encode_image, format="avif", speed=10)
    plain, clear = make(_SCENE), make(cutout(*_SIZE))
    for name, codes in _CICP.items():
        yield f"avif nclx {name}.avif", restate_colours(plain, *codes)
        yield f"avif alpha nclx {name}.avif", restate_colours(clear, *codes)
    for name, profile in _profiles("p3", "adobe").items():
        yield f"avif {name}.avif", make(_SCENE, icc_profile=profile)
        yield f"avif nclx PQ and {name}.avif", restate_colours(make(_SCENE, icc_profile=profile), *_CICP["PQ"])
    for subsampling in ("4:4:4", "4:2:2", "4:2:0", "4:0:0"):
        yield f"avif {subsampling.replace(':', '')}.avif", make(_SCENE, subsampling=subsampling)
    yield "avif graded alpha.avif", make(_FADED)
    yield "avif limited range.avif", make(_SCENE, range="limited")
    yield "avif newline behind.avif", plain + b"\n"
    yield "avif zeros behind.avif", plain + bytes(4)
    yield "avif XMP orientation.avif", make(_SCENE, xmp=xmp(6))
    yield "avif animation.avif", animation("avif", speed=10, range="limited")  # Chromium shows full range wrongly


def _profiles(*spaces: str) -> dict[str, bytes]:
    return {f"ICC {space}": rgb_profile(space) for space in spaces}
