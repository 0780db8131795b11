"""An AVIF that browsers show is shown, though its decoder refuses a fault in it that pixels do not depend on."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache

import pytest
from PIL import Image

from stages.errors import StageError
from stages.limits import Limits
from stages.normalize import Master, normalize
from stages.validate import validate
from tests.support.avif import overwrite_item, resize_item, restate_colours, separate_associations
from tests.support.images import cutout, encode_image, exif, photo

LIMITS = Limits()
TRAILERS = {
    "a newline": b"\n",
    "four zeros": bytes(4),
    "text": b"trailing rubbish",
    "a box that is too short": struct.pack(">I4s", 5, b"free"),
    "a box that is too long": struct.pack(">I4s", 500, b"free"),
    "a box that is too long by far": struct.pack(">I4sQ", 1, b"free", 2**63),
}
UNUSABLE_EXIF: dict[str, Callable[[bytes], bytes]] = {
    "one byte": lambda original: resize_item(original, 2, 1),
    "an offset alone": lambda original: resize_item(original, 2, 4),
    "a signature alone": lambda original: resize_item(original, 2, 14),
    "a wrong offset": lambda original: overwrite_item(original, 2, struct.pack(">I", 4000)),
    "zeros": lambda original: overwrite_item(original, 2, bytes(100)),
}


@cache
def plain() -> bytes:
    return encode_image(photo(), "avif", speed=10)


def decoded(original: bytes) -> Master | str:
    try:
        validate(original, limits=LIMITS)
        return normalize(original, edge=1600, limits=LIMITS)
    except StageError as error:
        return error.code


@pytest.mark.parametrize("trailer", TRAILERS.values(), ids=TRAILERS)
def test_bytes_behind_the_last_box_are_ignored(trailer: bytes) -> None:
    assert decoded(plain() + trailer) == decoded(plain())


def test_a_box_that_pixels_may_lie_in_must_be_whole() -> None:
    assert decoded(plain()[:-1]) == "image_truncated"
    assert decoded(plain() + struct.pack(">I4s", 500, b"mdat")) == "image_truncated"


@pytest.mark.parametrize("image", [cutout(), photo()], ids=["with alpha", "opaque"])
def test_each_item_may_have_a_box_of_associations(image: Image.Image) -> None:
    original = encode_image(image, "avif", speed=10)

    apart = separate_associations(original)

    assert apart.count(b"ipma") == (2 if image.mode == "RGBA" else 1)
    assert decoded(apart) == decoded(original)


@pytest.mark.parametrize("damage", UNUSABLE_EXIF.values(), ids=UNUSABLE_EXIF)
def test_unusable_exif_is_no_reason_to_refuse_the_pixels(damage: Callable[[bytes], bytes]) -> None:
    original = encode_image(photo(), "avif", speed=10, exif=exif(6))

    assert decoded(damage(original)) == decoded(original)


@pytest.mark.parametrize("in_stream", [False, True], ids=["in its box", "in its stream"])
@pytest.mark.parametrize("matrix", [3, 10, 13, 14, 18, 255])
def test_matrices_without_a_decoder_look_as_chromium_paints_them(matrix: int, *, in_stream: bool) -> None:
    as_srgb = decoded(restate_colours(plain(), 1, 13, 6, in_stream=in_stream))

    assert decoded(restate_colours(plain(), 1, 13, matrix, in_stream=in_stream)) == as_srgb


@pytest.mark.parametrize("primaries", [9, 12])
def test_the_colours_of_a_matrix_without_a_decoder_do_not_count(primaries: int) -> None:
    assert decoded(restate_colours(plain(), primaries, 16, 10)) == decoded(plain())


@pytest.mark.parametrize("matrix", [11, 16, 17])
def test_other_matrices_without_a_decoder_are_unsupported(matrix: int) -> None:
    assert decoded(restate_colours(plain(), 1, 13, matrix)) == "unsupported_format"
