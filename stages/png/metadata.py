"""The EXIF and the XMP of a PNG, wherever they lie in it: W3C PNG (Third Edition), 11.3.3, and XMP, part 3, 1.1.5."""

from __future__ import annotations

import zlib

from stages.png.chunks import walk_chunks

_TEXT_KINDS = frozenset((b"tEXt", b"zTXt", b"iTXt"))
_XMP = b"XML:com.adobe.xmp"
_PROFILE, _PROFILES = b"Raw profile type ", (b"exif", b"APP1", b"xmp")  # how ImageMagick keeps them
_XMP_MARK = b"http://ns.adobe.com/xap/1.0/\0"  # of a JPEG's segment, from which the profile APP1 comes
_MAX_TEXT = 4 * 1024 * 1024  # of all together, unpacked
_MAX_RATIO = 1032  # of what zlib unpacks to what it has packed: 258 bytes for two bits, RFC 1951, 3.2.5


class PngMetadata:
    """The blocks of EXIF and the packets of XMP; None for one that is damaged, or that lies beyond what is unpacked."""

    def __init__(self, original: bytes) -> None:
        self.exif: list[bytes | None] = []
        self.xmp: list[bytes | None] = []
        self._left = _MAX_TEXT
        for kind, start, end in walk_chunks(original):
            if kind == b"eXIf":
                self.exif.append(original[start:end])
            elif kind in _TEXT_KINDS:
                self._read_text(kind, *original[start:end].partition(b"\0")[::2])

    def _read_text(self, kind: bytes, keyword: bytes, value: bytes) -> None:
        profile = keyword.removeprefix(_PROFILE)
        if keyword == _XMP:
            self.xmp.append(self._unpack(kind, value))
        elif profile in _PROFILES and profile != keyword:
            content = _from_digits(self._unpack(kind, value))
            is_xmp = profile == b"xmp" or (content is not None and content.startswith(_XMP_MARK))
            (self.xmp if is_xmp else self.exif).append(content)

    def _unpack(self, kind: bytes, value: bytes) -> bytes | None:
        if self._left <= 0:
            return None
        is_packed = kind == b"zTXt" or (kind == b"iTXt" and value[:1] == b"\1")
        text = value if kind == b"tEXt" else value[1:]
        if kind == b"iTXt":  # behind its method, its language and its keyword in that language
            text = text[1:].split(b"\0", 2)[-1]
        try:
            text = zlib.decompressobj().decompress(text, self._left) if is_packed else text
        except zlib.error:  # it may have unpacked all of the text before it met the damage
            self._left -= _MAX_RATIO * len(text)
            return None
        self._left -= len(text)
        return text if self._left > 0 else None


def _from_digits(text: bytes | None) -> bytes | None:
    """Return a profile that is written as an empty line, its name, its length, and hexadecimal digits."""
    try:
        return None if text is None else bytes.fromhex(b"".join(text.split(b"\n", 3)[3:]).decode("ascii"))
    except ValueError:
        return None
