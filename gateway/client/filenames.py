"""File names of results: the names that the gateway sends, made safe for a file system."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path
from urllib.parse import unquote

import httpx

_EXTENDED = re.compile(r"filename\*=UTF-8''([^;\s]+)", re.IGNORECASE)
_PLAIN = re.compile(r'filename="([^"]*)"', re.IGNORECASE)
IMAGE_EXTENSIONS = frozenset(
    [
        "apng",
        "avif",
        "bmp",
        "dib",
        "gif",
        "heic",
        "heif",
        "hif",
        "jfif",
        "jp2",
        "jpe",
        "jpeg",
        "jpg",
        "jxl",
        "png",
        "tif",
        "tiff",
        "webp",
    ]
)
"""The extensions of files that count as images, in lower case. A server adds none: it could name scripts or keys."""


def filename_of(answer: httpx.Response) -> str:
    """Return the file name of a result, from its Content-Disposition (RFC 6266), else from its path and media type.

    The name has no path, and an image's extension or .bin.
    """
    disposition = answer.headers.get("content-disposition", "")
    extended, plain = _EXTENDED.search(disposition), _PLAIN.search(disposition)
    name = unquote(extended[1]) if extended else plain[1] if plain else ""
    label = safe_filename(name) or safe_filename(answer.url.path) or "result"
    subtype = answer.headers.get("content-type", "").partition(";")[0].rpartition("/")[2]
    return label if is_image_name(label) else f"{label}.{image_extension(subtype)}"


def image_extension(image_format: str) -> str:
    """Return the file extension of an image format, without a dot: "bin" if it is not the name of one."""
    extension = "jpg" if image_format == "jpeg" else image_format
    return extension if extension in IMAGE_EXTENSIONS else "bin"


def is_image_name(name: str) -> bool:
    """Whether a file name has the extension of an image."""
    return Path(name).suffix.removeprefix(".").lower() in IMAGE_EXTENSIONS


def join_inside(folder: Path, name: str) -> Path:
    """Return a path below a folder. OSError if the name leads out of it. Links in the folder are its owner's."""
    path = folder / name
    if not Path(os.path.abspath(path)).is_relative_to(os.path.abspath(folder)):  # noqa: PTH100  # resolve() follows links
        raise OSError(errno.EINVAL, "The name leads out of the folder", str(path))
    return path


def safe_filename(name: str) -> str:
    """Return the name without folders, leading dots and unprintable characters; empty if nothing is left."""
    printable = "".join(character for character in name if character.isprintable())
    return printable.replace("\\", "/").rpartition("/")[2].lstrip(". ")


def number_paths(path: Path) -> Iterator[Path]:
    """Iterate over a path and its alternatives: photo.jpg, photo (2).jpg, photo (3).jpg and so on."""
    return chain([path], (path.with_name(f"{path.stem} ({number}){path.suffix}") for number in count(2)))
