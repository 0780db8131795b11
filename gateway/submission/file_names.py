"""The name of a file in Content-Disposition: plain, as `filename*` (RFC 8187), or in encoded words (RFC 2047)."""

from __future__ import annotations

import re
from email.errors import HeaderParseError
from email.header import decode_header
from urllib.parse import unquote_to_bytes

from python_multipart.multipart import parse_options_header

CHARSETS = frozenset({"utf-8", "us-ascii", "iso-8859-1", "windows-1252"})
_PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*("(?:\\.|[^"\\])*"|[^;]*)')
_ENCODED_WORDS = re.compile(r"(=\?[\w-]+\?[BbQq]\?[^?\s]*\?=\s*)+", re.ASCII)
_CONTROLS = dict.fromkeys([*range(32), *range(127, 160)])


def parse_filename(disposition: bytes) -> str | None:
    """Return the file's name, a label without control characters; None if the header has none.

    `filename*` wins over `filename` (RFC 6266, section 4.3). .NET sends encoded words beside it.
    """
    name = _read_extended(disposition) if b"*" in disposition else None
    if name is None:
        _, options = parse_options_header(disposition)
        if b"filename" not in options:
            return None
        name = _decode_words(options[b"filename"].decode("utf-8", "replace"))
    return clean_filename(name)


def clean_filename(name: str) -> str:
    """Return a file's name without control characters."""
    return name.translate(_CONTROLS)


def _read_extended(disposition: bytes) -> str | None:
    """Return the value of `filename*`; None if there is none that can be read."""
    for name, value in _PARAMETER.findall(disposition.decode("latin-1")):
        charset, *rest = value.strip('" \t').split("'", 2)
        if name.lower() == "filename*" and charset.lower() in CHARSETS and len(rest) == len(("language", "name")):
            return unquote_to_bytes(rest[1]).decode(charset, "replace")
    return None


def _decode_words(name: str) -> str:
    """Decode a name that consists of encoded words; return any other one as it is."""
    if not _ENCODED_WORDS.fullmatch(name):
        return name
    try:
        words = decode_header(name)
    except HeaderParseError:
        return name
    if not all(charset in CHARSETS for _, charset in words):
        return name
    return "".join(word.decode(charset, "replace") for word, charset in words) or name
