"""libvips as an oracle, by pyvips: upright, converted to sRGB by the embedded profile, first page."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from PIL import Image

from stages.scale import fit_size
from tests.tools.pixels.child_program import ChildProgram, Order, ReadOptions, refusal
from tests.tools.pixels.reading import BACKGROUNDS, REFUSED, Reading, reduce_view, save_reading

NAME = "libvips"
FORMATS = frozenset({"jpeg", "png", "gif", "webp", "tiff", "avif"})  # of pyvips-binary: no BMP, no HEVC
_UNSUPPORTED = re.compile(
    r"not configured|not supported|not a known file format|not a whole number|bad labq|samples out of range"
)
_ROUGH_SIDE = 1024  # Pillow averages the rest
_MOST = {"uchar": 255, "ushort": 65535}
_DEEP = {"b-w": "grey16", "srgb": "rgb16", "rgb": "rgb16"}  # with 16 bits; else all above 255 is white
_COLOURS = 3
_BANDS = {"b-w": 1, "grey16": 1, "cmyk": 4}


def is_available() -> bool:
    """Whether pyvips is installed."""
    return find_spec("pyvips") is not None


def make_vips_program(options: ReadOptions) -> ChildProgram:
    """Return libvips."""
    return ChildProgram(NAME, FORMATS, read_with_vips, options)


def read_with_vips(content: bytes, on_stage: Callable[[str], None]) -> str:
    """Decode one file and save the reading; return the refusal, or nothing."""
    os.environ["VIPS_CONCURRENCY"] = "1"  # read when it is imported
    import pyvips  # noqa: PLC0415  optional, and not to be loaded into the parent

    pyvips.block_untrusted_set(state=True)  # loaders that are not made for hostile files
    pyvips.cache_set_max(0)
    order = Order.from_bytes(content)
    on_stage("libvips")
    try:
        save_reading(_read(pyvips, order), Path(order.result))
    except pyvips.Error as error:
        message = " ".join(str(error).split())
        return refusal("unsupported" if _UNSUPPORTED.search(message) else REFUSED, message)
    return ""


def _read(pyvips: Any, order: Order) -> Reading:
    stored = pyvips.Image.new_from_file(order.file, fail_on="error")
    if stored.format not in _MOST:
        raise pyvips.Error(f"samples of the type {stored.format} are not supported by this oracle")
    image = _to_srgb(pyvips, stored.autorot().copy_memory())
    size = fit_size((image.width, image.height), order.edge)
    views = tuple(_view(image, colour, size) for colour in BACKGROUNDS.values())
    return Reading(width=image.width, height=image.height, views=views)


def _to_srgb(pyvips: Any, image: Any) -> Any:
    """Convert the colours as a browser does, and the alpha to 8 bits."""
    if not image.hasalpha():
        return _colours_to_srgb(pyvips, image)
    count = min(_BANDS.get(image.interpretation, _COLOURS), image.bands - 1)  # more bands than one may be behind them
    colours, alpha = image.extract_band(0, n=count), image.extract_band(count)
    return _colours_to_srgb(pyvips, colours).bandjoin(alpha * (255 / _MOST[image.format]))


def _colours_to_srgb(pyvips: Any, image: Any) -> Any:
    """Convert relative colorimetrically, with black point compensation.

    Without a profile it is sRGB, or CMYK of inks that take away one colour each.
    """
    most, interpretation = _MOST[image.format], image.interpretation
    if image.get_typeof("icc-profile-data"):
        with suppress(pyvips.Error):  # a damaged profile, or one for other channels, does not count
            return image.icc_transform("srgb", embedded=True, intent="relative", black_point_compensation=True)
    if interpretation == "cmyk":
        paper = (most - image) * (255 / most)
        return (paper.extract_band(0, n=_COLOURS) * paper.extract_band(3) / 255).copy(interpretation="srgb")
    if image.format == "ushort":
        image = image.copy(interpretation=_DEEP.get(interpretation, interpretation))
    return image.colourspace("srgb")


def _view(image: Any, colour: tuple[int, int, int], size: tuple[int, int]) -> Image.Image:
    flat = image.flatten(background=list(colour)) if image.hasalpha() else image
    flat = flat.extract_band(0, n=_COLOURS)
    step = max(1, max(flat.width, flat.height) // _ROUGH_SIDE)
    flat = (flat.shrink(step, step, ceil=True) if step > 1 else flat).cast("uchar")
    return reduce_view(Image.frombytes("RGB", (flat.width, flat.height), flat.write_to_memory()), size)
