"""An error of the system is never the image's fault, whatever a codec makes of it."""

from __future__ import annotations

import errno

import pytest

from stages.decode import translate_pillow_errors
from stages.errors import ImageCorrupt, ImageTooLarge, StageError
from stages.limits import Limits
from stages.system_errors import check_memory, reveal_system_errors

SYSTEM = {
    "no memory": (MemoryError(), MemoryError),
    "no memory, by its number": (OSError(errno.ENOMEM, "Cannot allocate memory"), MemoryError),
    "no memory for Pillow's decoder": (OSError("out of memory when reading image file"), MemoryError),
    "no memory for Pillow's TIFF decoder": (OSError("decoder error -9"), MemoryError),
    "no memory for libavif": (RuntimeError("Failed to decode frame 0: Out of memory"), MemoryError),
    "no memory for libheif": (RuntimeError("Memory allocation error: Unspecified"), MemoryError),
    "no memory in C++": (RuntimeError("std::bad_alloc"), MemoryError),
    "no thread": (RuntimeError("can't start new thread"), OSError),
    "no thread for libheif": (ValueError("Internal error (unexpected C++ exception)"), OSError),
    "too many tasks": (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), OSError),
    "a full disk": (OSError(errno.ENOSPC, "No space left on device"), OSError),
    "a broken disk": (OSError(errno.EIO, "Input/output error"), OSError),
    "too many files": (OSError(errno.EMFILE, "Too many open files"), OSError),
    "too many files of the machine": (OSError(errno.ENFILE, "Too many open files in system"), OSError),
}
IMAGE = {
    "broken data": (OSError("broken data stream when reading image file"), ImageCorrupt),
    "broken planes": (RuntimeError("Failed to decode frame 0: Decoding of color planes failed"), ImageCorrupt),
    "a limit of the codec": (
        RuntimeError("Memory allocation error: Security limit exceeded: Image size 8000x8000"),
        ImageTooLarge,
    ),
}


@pytest.mark.parametrize(("error", "kind"), SYSTEM.values(), ids=SYSTEM)
def test_an_error_of_the_system_refuses_no_image(error: Exception, kind: type[Exception]) -> None:
    with pytest.raises(kind) as decoding, translate_pillow_errors(Limits()):
        raise error
    with pytest.raises(kind) as encoding, reveal_system_errors():
        raise error

    assert kind is MemoryError or decoding.value.errno == encoding.value.errno  # type: ignore[attr-defined]
    assert kind is MemoryError or decoding.value.errno is not None  # type: ignore[attr-defined]


@pytest.mark.parametrize(("error", "kind"), IMAGE.values(), ids=IMAGE)
def test_an_error_of_the_image_refuses_it(error: Exception, kind: type[StageError]) -> None:
    with pytest.raises(kind), translate_pillow_errors(Limits()):
        raise error


def test_memory_that_the_machine_does_not_have_is_missed_before_it_is_used() -> None:
    check_memory(1 << 20)

    with pytest.raises(MemoryError):
        check_memory(1 << 60)
