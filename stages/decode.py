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

from PIL import Image

from stages.colour.space import ColourSpace
from stages.colour.stated import read_colour_space
from stages.containers import inspect_container
from stages.decoders import ALL_FRAMES, FIRST_FRAME
from stages.errors import ImageCorrupt, ImageTooLarge, ImageTruncated, StageError, UnsupportedFormat
from stages.formats import HEAD_BYTES, recognize
from stages.limits import Limits, check_dimensions, check_frames
from stages.orientation import UPRIGHT, read_orientation, swap_if_sideways
from stages.system_errors import check_memory, find_system_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.ImageFile import ImageFile

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
        decoders = ALL_FRAMES if all_frames else FIRST_FRAME
        content = original if container.content is None else container.content
        image = decoders[sniffed.format](io.BytesIO(content))
        image.decodermaxblock = len(content)  # all is in memory: 5% faster than in blocks of 64 KiB
        frames = int(getattr(image, "n_frames", 1)) if container.frames is None else container.frames
    check_dimensions(*image.size, limits)
    check_frames(frames, *image.size, limits)
    if container.plays is not None:
        image.info["loop"] = container.plays
    orientation = _orientation(image, limits)
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
    Set Pillow's own limit, a global, for the block: it holds where a decoder makes an image larger than its header.
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
