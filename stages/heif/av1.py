"""The sizes of the frames in an AV1 stream, without decoding: AV1 Bitstream Specification, 5.3 to 5.9.

A decoder allocates by these sizes, whatever size the file around the stream states.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stages.container_info import PartCounter
from stages.errors import ImageCorrupt

_SEQUENCE_HEADER = 1
# A frame's header, a whole frame, and a repeated header, which a decoder takes for the header if none came before.
_FRAMES = frozenset((3, 6, 7))
_KEY_FRAME, _SWITCH_FRAME = 0, 3
_HIGH, _PROFESSIONAL = 1, 2  # profiles
_SELECT = 2  # each frame says it itself: SELECT_SCREEN_CONTENT_TOOLS and SELECT_INTEGER_MV
_HEADER_BYTES = 512  # more than the longest sequence header, which describes 32 operating points


class _Bits:
    """Reads a big-endian bit string. Raises IndexError at its end."""

    def __init__(self, content: memoryview) -> None:
        self._value, self._left = int.from_bytes(content[:_HEADER_BYTES]), 8 * len(content[:_HEADER_BYTES])
        self._bits = self._left

    @property
    def position(self) -> int:
        """How many bits are read."""
        return self._bits - self._left

    def read(self, count: int = 1) -> int:
        self._left -= count
        if self._left < 0:
            raise IndexError
        return self._value >> self._left & ((1 << count) - 1)

    def skip_uvlc(self) -> None:
        """Skip a number of variable length, 4.10.3."""
        zeros = 0
        while not self.read():
            zeros += 1
            if zeros == 32:  # noqa: PLR2004  no stream may say so, and decoders read on in different places
                raise ImageCorrupt
        self.read(zeros)


@dataclass(frozen=True, slots=True)
class _Sequence:
    """What a sequence header says of its frames; of a still picture's frames, `is_reduced` leaves nothing open."""

    is_reduced: bool
    bits: tuple[int, int]
    size: tuple[int, int]
    presentation_time_bits: int
    frame_id_bits: int
    has_decoder_model: bool
    screen_content_tools: int
    integer_mv: int
    order_hint_bits: int


class Av1Stream:
    """The frames of one stream, which may be split into samples. All streams of a file count their units together."""

    def __init__(self, units: PartCounter) -> None:
        self._sequence: _Sequence | None = None
        self._units = units

    def frame_sizes(self, sample: memoryview) -> Iterator[tuple[int, int]]:
        """Yield the width and height of each frame that a decoder would decode, before any scaling.

        Raises IndexError for a unit that ends too early, ImageCorrupt for a frame without a sequence, and
        ImageTooLarge for too many units.
        """
        for kind, payload in self.split(sample):
            if kind == _SEQUENCE_HEADER:
                self._sequence = _read_sequence(_Bits(payload))
            elif kind in _FRAMES:
                if self._sequence is None:  # a decoder may still know that of another stream
                    raise ImageCorrupt
                if size := _frame_size(payload, self._sequence):
                    yield size

    def split(self, sample: memoryview) -> Iterator[tuple[int, memoryview]]:
        """Yield the kind and the payload of each unit (OBU), 5.3."""
        position = 0
        while position < len(sample):
            self._units.add()
            header = sample[position]
            position += 2 if header & 4 else 1
            length = len(sample) - position
            if header & 2:
                length, position = _read_leb128(sample, position)
            yield header >> 3 & 15, sample[position : position + length]
            position += length


def read_colour_description(sample: memoryview) -> tuple[int, int] | None:
    """Return the primaries and the transfer of the first sequence header (H.273, tables 2 and 3), or None, 5.5.2.

    Raises as `frame_sizes` does.
    """
    found = find_colour_description(sample)
    return found.numbers[:2] if found else None


@dataclass(frozen=True, slots=True)
class ColourDescription:
    """The primaries, the transfer and the matrix; and the place of these 24 bits: a payload, and the first of them."""

    numbers: tuple[int, int, int]
    payload: memoryview
    position: int


def find_colour_description(sample: memoryview) -> ColourDescription | None:
    """Return what the first sequence header says, or None, 5.5.2. Raises as `frame_sizes` does."""
    for kind, payload in Av1Stream(PartCounter("units")).split(sample):
        if kind == _SEQUENCE_HEADER:
            bits = _Bits(payload)
            _read_sequence(bits)
            bits.read(3)  # super-resolution, and two filters
            profile, has_high_depth = payload[0] >> 5, bits.read()
            if profile == _PROFESSIONAL and has_high_depth:
                bits.read()
            if profile != _HIGH:
                bits.read()  # whether it is grey
            if not bits.read():
                return None
            position = bits.position
            return ColourDescription((bits.read(8), bits.read(8), bits.read(8)), payload, position)
    return None


def _read_leb128(content: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 56, 7):
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, position
    raise IndexError


def _read_sequence(bits: _Bits) -> _Sequence:
    """Read a sequence header as far as its frames' headers depend on it, 5.5."""
    bits.read(4)  # the profile, and whether it is a still picture
    is_reduced, time_bits, has_model = bool(bits.read()), 0, False
    if is_reduced:
        bits.read(5)
    else:
        time_bits, has_model = _skip_timing_and_operating_points(bits)
    width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
    size = bits.read(width_bits) + 1, bits.read(height_bits) + 1
    id_bits = 0
    if not is_reduced and bits.read():
        id_bits = bits.read(4) + 2
        id_bits += bits.read(3) + 1
    bits.read(3)
    tools = (_SELECT, _SELECT, 0) if is_reduced else _read_tools(bits)
    return _Sequence(is_reduced, (width_bits, height_bits), size, time_bits, id_bits, has_model, *tools)


def _skip_timing_and_operating_points(bits: _Bits) -> tuple[int, bool]:
    """Return the bits of a frame's presentation time, 0 if frames have none, and whether it has a decoder model."""
    delay_bits = time_bits = is_steady = 0
    if bits.read():
        bits.read(64)
        is_steady = bits.read()
        if is_steady:
            bits.skip_uvlc()
        if bits.read():
            delay_bits = bits.read(5) + 1
            bits.read(37)
            time_bits = bits.read(5) + 1
    has_display_delay = bits.read()
    for _ in range(bits.read(5) + 1):
        bits.read(12)
        if bits.read(5) > 7:  # noqa: PLR2004  from this level on, there are two tiers
            bits.read()
        if delay_bits and bits.read():
            bits.read(2 * delay_bits + 1)
        if has_display_delay and bits.read():
            bits.read(4)
    return 0 if is_steady else time_bits, bool(time_bits)


def _read_tools(bits: _Bits) -> tuple[int, int, int]:
    """Return whether frames use tools for screen content and whole motion vectors, and the bits of their order."""
    bits.read(4)
    if has_order := bits.read():
        bits.read(2)
    tools = _SELECT if bits.read() else bits.read()
    integer_mv = _SELECT
    if tools and not bits.read():
        integer_mv = bits.read()
    return tools, integer_mv, bits.read(3) + 1 if has_order else 0


def _frame_size(payload: memoryview, sequence: _Sequence) -> tuple[int, int] | None:
    """Return a frame's size, or the largest that it could state; None if it shows an earlier frame, 5.9.2."""
    if sequence.is_reduced:
        return sequence.size
    bits = _Bits(payload)
    if bits.read():
        return None
    kind, is_shown = bits.read(2), bits.read()
    bits.read(sequence.presentation_time_bits if is_shown else 1)
    if kind != _SWITCH_FRAME and not (kind == _KEY_FRAME and is_shown):
        bits.read()
    bits.read()
    tools = bits.read() if sequence.screen_content_tools == _SELECT else sequence.screen_content_tools
    if tools and sequence.integer_mv == _SELECT:
        bits.read()
    bits.read(sequence.frame_id_bits)
    if kind != _SWITCH_FRAME and not bits.read():
        return sequence.size
    if kind == _KEY_FRAME and is_shown and not sequence.has_decoder_model:
        bits.read(sequence.order_hint_bits)
        return bits.read(sequence.bits[0]) + 1, bits.read(sequence.bits[1]) + 1
    return 1 << sequence.bits[0], 1 << sequence.bits[1]  # its own size lies far behind, if it has one
