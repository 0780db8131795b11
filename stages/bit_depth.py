"""The bit depth of an original: how many bits each of its channels has in the file, read from the headers."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from stages.bmp.header import read_bmp_header
from stages.errors import StageError
from stages.heif.boxes import FULL
from stages.heif.colours import picture_boxes
from stages.png.chunks import PALETTE as PNG_PALETTE
from stages.png.chunks import read_header
from stages.tiff import directory as tag
from stages.tiff.layout import PALETTE as TIFF_PALETTE

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_BYTE = 8
_MAX_BITS = 64  # TIFF has floats of 64 bits


def read_bit_depth(original: bytes, image: ImageFile, format: str) -> int | None:  # noqa: A002  the API's own word
    """Return the bits of a channel of an opened original, the largest if they differ, or None if it is not stated.

    Where pixels are numbers of colours in a palette, the colours have 8 bits.
    """
    try:
        depth = _READERS[format](original, image)
    except (LookupError, OverflowError, TypeError, ValueError, struct.error, StageError):
        return None  # damaged headers are no reason to refuse the pixels
    return depth if isinstance(depth, int) and 0 < depth <= _MAX_BITS else None


def _read_jpeg(_original: bytes, image: ImageFile) -> int | None:
    return getattr(image, "bits", None)


def _read_png(original: bytes, _image: ImageFile) -> int | None:
    header = read_header(original)
    return _BYTE if header.colour == PNG_PALETTE else header.depth


def _read_tiff(_original: bytes, image: ImageFile) -> int | None:
    tags: dict[int, Any] = getattr(image, "tag_v2", {})
    return _BYTE if tags.get(tag.PHOTOMETRIC) == TIFF_PALETTE else max(tags.get(tag.BITS, (1,)))


def _read_bmp(original: bytes, _image: ImageFile) -> int | None:
    masks = read_bmp_header(original).masks
    return max(map(int.bit_count, masks[:3])) if masks else _BYTE


def _read_heic(_original: bytes, image: ImageFile) -> int | None:
    return image.info.get("bit_depth")


def _read_avif(original: bytes, _image: ImageFile) -> int | None:
    boxes = picture_boxes(memoryview(original))
    return next((_AVIF_DEPTHS[kind](payload) for kind, payload in boxes if kind in _AVIF_DEPTHS), None)


def _read_pixi(payload: memoryview) -> int:
    """Read the bits of each channel: ISO/IEC 23008-12, 6.5.6."""
    return max(payload[FULL + 1 : FULL + 1 + payload[FULL]])


def _read_av1c(payload: memoryview) -> int:
    """Read high_bitdepth and twelve_bit: AV1 Codec ISO Media File Format Binding, 2.3.3."""
    if not payload[2] & 0x40:
        return _BYTE
    return 12 if payload[2] & 0x20 else 10


_AVIF_DEPTHS: dict[bytes, Callable[[memoryview], int]] = {
    b"pixi": _read_pixi,
    b"av1C": _read_av1c,
}
_READERS: dict[str, Callable[[bytes, ImageFile], int | None]] = {
    "jpeg": _read_jpeg,
    "png": _read_png,
    "gif": lambda _original, _image: _BYTE,  # the colours of its palettes
    "webp": lambda _original, _image: _BYTE,
    "tiff": _read_tiff,
    "bmp": _read_bmp,
    "avif": _read_avif,
    "heic": _read_heic,
}
