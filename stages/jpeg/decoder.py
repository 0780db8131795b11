"""Pillow's decoder of JPEG, except that it refuses an image of which pixels are missing.

libjpeg takes a scan that ends early for one of zeros, which are grey, and warns; Pillow does not show its warnings. But
libjpeg waits for more if it sees no marker. So each scan is handed over without the marker behind it. Then come a few
bytes that no Huffman code begins with: a decoder that has all of a scan is done, one that has not still waits.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import Any

from PIL import Image
from PIL.ImageFile import PyDecoder
from PIL.JpegImagePlugin import APP, MARKER, JpegImageFile

from stages.errors import ImageTruncated
from stages.jpeg.profile import join_profile
from stages.jpeg.scans import (
    END,
    Frame,
    find_end_of_only_scan,
    find_marker,
    find_scan_ends,
    guess_end_of_only_scan,
    read_frame,
)

_CODEC = "complete_jpeg"
# Stuffed bytes of ones. The decoder reads ahead 8 bytes before it takes a scan's last code, 9 with those it holds. They
# make at most four codes of 17 bits: two blocks of a grey image, not one of the units that colour images consist of.
_ONES = b"\xff\0" * 9


class CompleteJpegDecoder(PyDecoder):
    """Decodes a whole file, which is given to it at once."""

    def init(self, args: tuple[object, ...]) -> None:
        """Take the arguments of Pillow's decoder."""
        super().init(args)
        self._target: tuple[object, ...] = ()
        self._decoder: Any = None

    def setimage(self, im: object, extents: tuple[int, int, int, int] | None = None) -> None:
        """Take the image to write to."""
        self._target = im, extents
        self._start()

    def cleanup(self) -> None:
        """Release libjpeg's memory."""
        self._decoder.cleanup()

    def decode(self, buffer: bytes) -> tuple[int, int]:  # type: ignore[override]
        """Return as Pillow's decoder does. Raises ImageTruncated if pixels are missing."""
        frame = read_frame(buffer)
        if not frame.has_huffman_codes:
            self._read(buffer)
        elif frame.has_one_scan(buffer):
            self._decode_only_scan(buffer, frame)
        else:
            self._decode_scans(buffer, frame)
        if self._result is None:
            raise ImageTruncated
        return self._result

    def _decode_only_scan(self, content: bytes, frame: Frame) -> None:
        position = guess_end_of_only_scan(content, frame)
        self._read(memoryview(content)[:position])
        if self._result is None:
            self._read(content[position : find_marker(content, position - 1)])
        elif (end := find_end_of_only_scan(content, frame)) < position:
            self._start()  # it met a marker, and took the pixels that were missing there, if any, for zeros
            self._read(memoryview(content)[:end])
        self._read(_ONES)

    def _decode_scans(self, content: bytes, frame: Frame) -> None:
        """Decode scan by scan. A decoder that needs no more of one skips all bytes up to the next marker."""
        position = 0
        for end in find_scan_ends(content, frame):
            self._read(memoryview(content)[position:end])
            for behind in (_ONES, b"\0"):
                self._read(behind)
                if self._unread:
                    raise ImageTruncated
            position = end
        self._read(END)

    def _start(self) -> None:
        """Start from the first byte."""
        self._decoder = Image.core.jpeg_decoder(self.mode, *self.args)  # type: ignore[attr-defined]
        self._decoder.setimage(*self._target)
        self._unread = b""
        self._result: tuple[int, int] | None = None

    def _read(self, content: bytes | memoryview) -> None:
        """Hand over the next part of the file. Only a few bytes are left unread of the last one."""
        if self._result is None:
            part = memoryview(self._unread + bytes(content) if self._unread else content)
            read, error = self._decoder.decode(part)
            self._result = (read, error) if read < 0 else None
            self._unread = b"" if read < 0 else bytes(part[read:])


class CompleteJpeg(JpegImageFile):
    """Raises ImageTruncated when it decodes an image of which pixels are missing.

    Pillow takes no part of a profile behind the frame's header, takes parts that cannot be, and fails at a short one.
    """

    @property
    def icclist(self) -> list[bytes]:
        """Return Pillow's list of parts, which stays empty."""
        return []

    @icclist.setter
    def icclist(self, parts: list[bytes]) -> None:
        pass

    def _open(self) -> None:
        super()._open()
        self.info["icc_profile"] = join_profile(content for name, content in self.applist if name == "APP2")
        self.tile = [tile._replace(codec_name=_CODEC) for tile in self.tile]


def _read_application_data(image: JpegImageFile, marker: int) -> None:
    """Read a segment as Pillow does, but leave out what ends too early: browsers show the image without it."""
    with suppress(IndexError, struct.error):  # it is behind the segment already
        APP(image, marker)


for _marker, (_name, _text, _read) in tuple(MARKER.items()):
    if _read is APP:
        MARKER[_marker] = _name, _text, _read_application_data  # type: ignore[assignment]
Image.register_decoder(_CODEC, CompleteJpegDecoder)
