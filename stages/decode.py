"""Open an original: recognize its format, check its limits, and turn every error of Pillow into a StageError."""

from __future__ import annotations

import io
import re
import struct
import warnings
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import AvifImagePlugin, Image

from stages.bmp.decoder import Bmp
from stages.colour.space import ColourSpace
from stages.colour.stated import read_colour_space
from stages.containers import inspect_container
from stages.errors import ImageCorrupt, ImageTooLarge, ImageTruncated, StageError, UnsupportedFormat
from stages.formats import HAS_HEIC, HEAD_BYTES, recognize
from stages.frugal_decoders import FRAMEWISE, ONE_FRAME, Decoder
from stages.jpeg.decoder import CompleteJpeg
from stages.limits import Limits, check_dimensions, check_frames
from stages.orientation import UPRIGHT, read_orientation, swap_if_sideways
from stages.system_errors import check_memory, find_system_error
from stages.tiff.decoder import TiffFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.ImageFile import ImageFile

# By class: Image.open() would open a phone's JPEG as an MPO, and parse the index of the other pictures in it.
_DECODERS: dict[str, Decoder] = {
    "jpeg": CompleteJpeg,
    "tiff": TiffFile,
    "bmp": Bmp,
}
# One thread a codec: by default it starts one for each core of the machine, however few its container may have.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
if HAS_HEIC:
    import pillow_heif
    from pillow_heif import HeifImageFile

    pillow_heif.options.DECODE_THREADS = 1
    _DECODERS["heic"] = HeifImageFile

ANIMATED = frozenset({"png", "gif", "webp", "avif"})  # a TIFF's pages and a HEIC's other pictures are not frames

# All that a Pillow plugin raises, or could raise, on hostile bytes. Not `Exception`: a worker's time limit is one too.
_DECODER_ERRORS = (
    ArithmeticError, AssertionError, AttributeError, BufferError, EOFError, LookupError, OSError, RuntimeError,
    SyntaxError, TypeError, ValueError, struct.error, zlib.error,
)  # fmt: skip
_DECODED_BYTES = 8  # a pixel, of the codec and of Pillow: with less memory, most codecs would call the image damaged
_TRUNCATED = re.compile(r"truncat|not processed|not large enough|unexpected end|premature", re.IGNORECASE)
_CODEC_LIMIT = re.compile(r"security limit", re.IGNORECASE)  # libheif's: a stream is larger than its container states
_UNSUPPORTED = re.compile(
    r"unsupported|reformat failed|cannot handle|unknown pixel mode|not (yet )?supported", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class OpenedImage:
    """An image whose header is read and within the limits; none of its pixels is decoded yet.

    `orientation` is the EXIF one, 1 to 8; `display_size` is the width and height in pixels once it is applied.
    """

    image: ImageFile
    format: str
    frames: int
    limits: Limits
    orientation: int
    display_size: tuple[int, int]
    colour_space: ColourSpace


def open_image(original: bytes, *, limits: Limits, all_frames: bool = False) -> OpenedImage:
    """Open an original of any accepted format, and check every limit that its header can break.

    Without `all_frames`, only the first frame can be decoded: this needs less memory, and the others may be any number.
    Raises the StageError that says why it is refused.
    """
    if not all_frames:
        limits = limits.for_first_frame()
    sniffed = recognize(original[:HEAD_BYTES], limits)
    container = inspect_container(original, sniffed.format, limits)
    if sniffed.format == "webp" and sniffed.width and sniffed.height:  # its decoder allocates the canvas when it opens
        check_memory(_DECODED_BYTES * sniffed.width * sniffed.height)
    with translate_pillow_errors(limits):
        decoders = _DECODERS | (FRAMEWISE if all_frames else ONE_FRAME)
        content = original if container.content is None else container.content
        image = decoders[sniffed.format](io.BytesIO(content))
        image.decodermaxblock = len(content)  # all is in memory: 5% faster than in blocks of 64 KiB
        frames = container.frames or (int(getattr(image, "n_frames", 1)) if sniffed.format in ANIMATED else 1)
    check_dimensions(*image.size, limits)
    check_frames(frames, *image.size, limits)
    if container.plays is not None:
        image.info["loop"] = container.plays
    orientation = _orientation(image, limits)
    if container.exif is not None:  # browsers take no orientation from it
        image.info.setdefault("exif", b"Exif\0\0" + container.exif)
    display_size = swap_if_sideways(image.size, orientation)
    colour_space = read_colour_space(image, sniffed.format, content)
    return OpenedImage(image, sniffed.format, frames, limits, orientation, display_size, colour_space)


def decode_pixels(opened: OpenedImage) -> None:
    """Decode every pixel of the current frame, or raise as `translate_pillow_errors` does."""
    width, height = opened.image.size
    check_memory(_DECODED_BYTES * width * height)
    with translate_pillow_errors(opened.limits):
        opened.image.load()


@contextmanager
def translate_pillow_errors(limits: Limits) -> Iterator[None]:
    """Turn what Pillow raises on hostile bytes into the matching StageError.

    Errors of the system stay: a MemoryError, or an OSError with its number. They are no reason to refuse an image.
    Set Pillow's own limit, a global, for the block: it bounds the canvas of a GIF or TIFF that grows during decoding.
    """
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, limits.pixels
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            yield
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise ImageTooLarge from error
        except _DECODER_ERRORS as error:
            cause = find_system_error(error)
            if cause is error:
                raise
            raise cause or _to_stage_error(error) from error
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _orientation(image: ImageFile, limits: Limits) -> int:
    try:
        with translate_pillow_errors(limits):
            return read_orientation(image)
    except StageError:  # damaged metadata is no reason to refuse the pixels
        return UPRIGHT


def _to_stage_error(error: Exception) -> StageError:
    if _TRUNCATED.search(str(error)):
        return ImageTruncated()
    if _CODEC_LIMIT.search(str(error)):
        return ImageTooLarge()
    if _UNSUPPORTED.search(str(error)):
        return UnsupportedFormat("This kind of image is not supported.")
    return ImageCorrupt()
