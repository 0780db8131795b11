"""The originals that need the most memory: every format with alpha, a profile, an orientation, 16 bits, frames."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from collections.abc import Callable, Mapping
from math import isqrt
from random import Random

from PIL import Image, ImageChops

from stages.formats import HAS_HEIC
from tests.support.images import chunk, cmyk_profile, encode_image, exif, png, rgb_profile

Size = tuple[int, int]
LARGEST: Size = (16_383, 3_051)  # as long and as many pixels as the limits allow; a WebP has 16,383 a side at most
SIDEWAYS: Mapping[str, object] = {"exif": exif(6), "icc_profile": rgb_profile("p3")}
FRAMES = 200
_TILE = 61  # pixels after which noise repeats: a lossless file of it is small
# An AVIF of LARGEST in one colour, sideways, with alpha, 12 bits and a profile. Pillow writes 8 bits only: this is from
# avifenc -d 12 -y 444.
_DEEP_AVIF = (
    b"c-muNV30{GsVqn=%S>Yc0uY^>nP!-qnF!=F{mD%&No0Tkjf|9>A}E`oATzmy0SV+}Cc%v0E66O#1q(6)u})@Aelm#T0yGXR0>rFy"
    b"85mfifP65ISpg_j3uHTGX6Av70Lw@LIjKxga}vu844w0H^1%*3$S^@<9CHdX5+O20scBFr@g<g4<bdr2>Sr>_EGQ}f(p;GZ$@xH8"
    b"k<8+PRER?R{|pS=uYnAKg3O9ckO(sm4-b&yNh~vTZVX8PIUyxEKc}dmC?9A#V?<tlUMiCS14C|JNl}oylR`vflmc>SBqkRZFyIB>"
    b"u7SgX;j%6R>43cmXd#fk0rE#Wg#8A@P6D&R28$Gh1UUoQBA}2+hp<&Z>?8==1jH^cDFDVIqYFqq!Vk^&85nH$|NsAgH$u#7KLf)?"
    b"a|Q;kod_`v3kC*3ZU%-EJCjR`%AjszWHM%8AjC(Qff5eFpfJu$&Zz*#8WRIs15k)FvnaoW8Ir0Xal?odGc_Oq3t&7ugBYbnc~-dv"
    b"sp(+C$tpQBxxlKpvbZEQx7Z4(CNn29v8d825tddIG7EBHX&abI*ch3bSy<Z`m{=IuJ2)8_*zV`1B$fy<aB;+%{r|UbomGR;I~EC^"
    b"1Gj;CyuU?nN&m1?y`;&Mldo(8o9luXTK}h<pI&3|?x;wU{kDg>&S$(B-B-Lxy{$Q`-~L+B7Z1yQN(Y}Td#txC=Y!Cl;2ud8e=UvB"
    b"k2bbP4vZQ$oD8F;S-`}{4M}_^92`;#MkhFc>CfzTZVLlL+qbrB@)MeFa_VI&&3G2_M$qn_IP0ZYpQFrEU4Nh3pD?X0ROnOcHC^Ms"
    b"HlhihqW+SXetR4ZPCvH2>)gTvm%gN^x!#ZWX#N{8<7mjO2G(2NFI9h@%ZjSc`Z1UBz#Bz{CbzFY_qZwdh_7N~Us%w;<E^{v$2Z5z"
    b"3cf9i)e2tA{qS$=E$P0Q2`|z{-7)HpQFjpUjzQuK0IM?i&H"
)


def noise(mode: str, size: Size) -> Image.Image:
    """Draw a tile of noise in each band, over and over."""
    width = {"I;16": 2}.get(mode, len(mode))
    tile = Image.frombytes(mode, (_TILE, _TILE), _random_bytes(_TILE * _TILE * width))
    image = Image.new(mode, size)
    for left in range(0, size[0], _TILE):
        image.paste(tile, (left, 0))
    for top in range(_TILE, size[1], _TILE):
        image.paste(image.crop((0, 0, size[0], _TILE)), (0, top))
    return image


def _random_bytes(count: int) -> bytes:
    return Random(count).randbytes(count)  # noqa: S311  noise, not a secret


def _deep_row(width: int, channels: int) -> bytes:
    return (_random_bytes(_TILE * channels * 2) * (width // _TILE + 1))[: width * channels * 2]


def _deep_png(size: Size, *, colour: int, channels: int) -> bytes:
    profile = chunk(b"iCCP", b"P3\0\0" + zlib.compress(rgb_profile("p3")))
    before = profile + chunk(b"eXIf", exif(6).removeprefix(b"Exif\0\0"))
    return png(*size, depth=16, colour=colour, rows=[_deep_row(size[0], channels)] * size[1], before=before)


def _deep_tiff(size: Size, *, channels: int) -> bytes:
    """Encode 16 bits a channel in one strip, which a decoder holds as a whole; Pillow cannot. TIFF 6.0, 2 and 7."""
    pixels = zlib.compress(_deep_row(size[0], channels) * size[1])
    extra_samples = {338: (2,)} if channels == len("RGBA") else {}
    tags = {
        256: (size[0],),
        257: (size[1],),
        258: (16,) * channels,
        259: (8,),
        262: (2,),
        273: (8,),
        274: (6,),
        277: (channels,),
        278: (size[1],),
        279: (len(pixels),),
        **extra_samples,
    }
    start, entries, values = 8 + len(pixels), b"", b""
    for tag, numbers in tags.items():
        packed = struct.pack(f"<{len(numbers)}I", *numbers)
        if len(numbers) > 1:
            offset = start + 2 + 12 * len(tags) + 4 + len(values)
            packed, values = struct.pack("<I", offset), values + packed
        entries += struct.pack("<HHI", tag, 4, len(numbers)) + packed
    return b"II*\0" + struct.pack("<I", start) + pixels + struct.pack("<H", len(tags)) + entries + bytes(4) + values


def _tiff(image: Image.Image, **options: object) -> bytes:
    """Encode in one strip, which a decoder holds as a whole."""
    tags = Image.Exif()
    tags[0x0112] = 6
    strip = image.width * image.height * 4
    return encode_image(image, "tiff", compression="tiff_adobe_deflate", strip_size=strip, exif=tags, **options)


def _bmp(size: Size) -> bytes:
    """Encode runs of up to 255 pixels of one colour: BITMAPINFOHEADER, BI_RLE8."""
    whole, rest = divmod(size[0], 255)
    row = b"\xff\1" * whole + (bytes((rest, 1)) if rest else b"") + b"\0\0"
    pixels, palette = row * size[1] + b"\0\1", bytes(range(256)) * 4
    header = struct.pack("<IiiHHIIiiII", 40, *size, 1, 8, 1, len(pixels), 0, 0, 256, 0)
    start = 14 + len(header) + len(palette)
    return struct.pack("<2sIHHI", b"BM", start + len(pixels), 0, 0, start) + header + palette + pixels


def _heic(size: Size) -> bytes:
    import pillow_heif  # noqa: PLC0415  optional

    content = io.BytesIO()
    size = size[0] // 8 * 8, size[1] // 8 * 8  # whole blocks: the decoder makes room for them
    picture = pillow_heif.from_pillow(noise("RGBA", size))
    picture.save(content, quality=10, enc_params={"preset": "ultrafast"}, **SIDEWAYS)
    return content.getvalue()


def _animation(format: str, size: Size, frames: int = 2) -> bytes:  # noqa: A002
    first = noise("RGBA", (size[0] // 8 + 1, size[1] // 8 + 1)).resize(size, Image.Resampling.NEAREST)
    pictures = [ImageChops.offset(first, number * 7, number * 5) for number in range(frames)]
    options: dict[str, object] = {"method": 0, "quality": 0} if format == "webp" else {}
    if format == "avif":  # the encoder is slow
        pictures = [Image.new("RGBA", size, (200, 50, number, 150)) for number in range(frames)]
        options = {"speed": 10}
    return encode_image(pictures[0], format, save_all=True, append_images=pictures[1:], duration=50, **options)


def _many_frames(format: str, size: Size) -> bytes:  # noqa: A002
    side = isqrt(2 * size[0] * size[1] // FRAMES)
    return _animation(format, (side, side), FRAMES)


def _palette(size: Size) -> Image.Image:
    image = noise("P", size)
    image.putpalette(_random_bytes(768))
    image.info["transparency"] = 7
    return image


def _jpeg(mode: str, size: Size, **options: object) -> bytes:
    return encode_image(noise(mode, size), "jpeg", **{"quality": 20, "subsampling": 0, **SIDEWAYS, **options})


def _webp(mode: str, size: Size, **options: object) -> bytes:
    return encode_image(noise(mode, size), "webp", **{"quality": 20, "method": 0, **SIDEWAYS, **options})


def _avif(mode: str, size: Size) -> bytes:
    return encode_image(noise(mode, size), "avif", quality=20, speed=10, subsampling="4:4:4", **SIDEWAYS)


ORIGINALS: dict[str, Callable[[Size], bytes]] = {
    "jpeg": lambda size: _jpeg("RGB", size),
    "jpeg progressive": lambda size: _jpeg("RGB", size, progressive=True),
    "jpeg progressive cmyk": lambda size: _jpeg("CMYK", size, quality=6, progressive=True, icc_profile=cmyk_profile()),
    "png alpha": lambda size: encode_image(noise("RGBA", size), "png", **SIDEWAYS),
    "png grey alpha": lambda size: encode_image(noise("LA", size), "png", exif=exif(6)),
    "png palette": lambda size: encode_image(_palette(size), "png", **SIDEWAYS),
    "png 16 bit": lambda size: _deep_png(size, colour=2, channels=3),
    "png 16 bit alpha": lambda size: _deep_png(size, colour=6, channels=4),
    "png 16 bit grey": lambda size: _deep_png(size, colour=0, channels=1),
    "png animated": lambda size: _animation("png", size),
    "gif": lambda size: encode_image(_palette(size), "gif", transparency=7),
    "gif animated": lambda size: _animation("gif", size),
    "gif of many frames": lambda size: _many_frames("gif", size),
    "webp alpha": lambda size: _webp("RGBA", size, lossless=False),
    "webp lossless alpha": lambda size: _webp("RGBA", size, quality=0),
    "webp animated": lambda size: _animation("webp", size),
    "webp of many frames": lambda size: _many_frames("webp", size),
    "tiff alpha": lambda size: _tiff(noise("RGBA", size)),
    "tiff cmyk": lambda size: _tiff(noise("CMYK", size), icc_profile=cmyk_profile()),
    "tiff lab": lambda size: _tiff(noise("LAB", size)),
    "tiff 16 bit alpha": lambda size: _deep_tiff(size, channels=4),
    "tiff 16 bit grey": lambda size: _tiff(noise("I;16", size)),
    "tiff 32 bit": lambda size: _tiff(Image.linear_gradient("L").resize(size).convert("I")),
    "tiff float": lambda size: _tiff(Image.linear_gradient("L").resize(size).convert("F")),
    "bmp": _bmp,
    "avif alpha": lambda size: _avif("RGBA", size),
    "avif 12 bit alpha": lambda _: zlib.decompress(base64.b85decode(_DEEP_AVIF)),
    "avif animated": lambda size: _animation("avif", size),
}
if HAS_HEIC:
    ORIGINALS["heic alpha"] = _heic
