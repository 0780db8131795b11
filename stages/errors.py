"""The errors of the stages, with a stable code and a message for people. All but `TemporaryError` are permanent."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenRule:
    """One rule that the image or the request breaks.

    `pointer` is a JSON pointer to the value that breaks it, `actual` is that value, `limit` is what the rule allows.
    """

    pointer: str
    rule: str
    message: str
    limit: int | str | None = None
    actual: int | str | None = None


class StageError(Exception):
    """The image cannot be processed."""

    code: ClassVar[str] = "stage_error"

    def __init_subclass__(cls, *, code: str) -> None:
        cls.code = code

    def __init__(self, message: str | None = None, *, errors: tuple[BrokenRule, ...] = ()) -> None:
        """Use the first line of the class's docstring as the message unless one is given."""
        self.message = message or default_message(type(self))
        self.errors = errors
        super().__init__(self.message)


class EmptyFile(StageError, code="empty_file"):
    """The file is empty."""


class UnsupportedFormat(StageError, code="unsupported_format"):
    """The file is not an image in one of the accepted formats."""


class ImageTooLarge(StageError, code="image_too_large"):
    """The image has more pixels, or a longer side, than is allowed."""


class ImageNeedsTooMuchMemory(StageError, code="image_needs_too_much_memory"):
    """Processing the image needs more memory than is allowed."""


class TooManyFrames(StageError, code="too_many_frames"):
    """The animation has more frames than are allowed."""


class ImageTruncated(StageError, code="image_truncated"):
    """The image file is truncated: some of its pixels are missing."""


class ImageCorrupt(StageError, code="image_corrupt"):
    """The image is damaged and cannot be decoded."""


class InvalidOperation(StageError, code="invalid_operation"):
    """The operation cannot be applied to this image."""


class FetchRefused(StageError, code="fetch_refused"):
    """The image is at an address that must not be fetched from."""


class FetchFailed(StageError, code="fetch_failed"):
    """The image could not be fetched."""


class FetchTooLarge(StageError, code="fetch_too_large"):
    """The file at the address is larger than is allowed."""


class FetchTimeout(StageError, code="fetch_timeout"):
    """Fetching the image took too long."""


class ExportFailed(StageError, code="export_failed"):
    """The results could not be put into the bucket that the preset names."""


class TemporaryError(Exception):
    """Another host does not do its part. The stage runs again; at its last attempt the job fails with `refusal`.

    `detail` is for the log: codes and names of classes, never an address, a key or an answer of that host.
    `retry_after_seconds` is how long that host wants to be left alone.
    """

    def __init__(self, refusal: StageError, detail: str, retry_after_seconds: float = 0) -> None:
        super().__init__(refusal, detail, retry_after_seconds)  # as pickle needs them
        self.refusal = refusal
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        return f"{self.refusal.code}: {self.detail}"


def default_message(error: type[StageError]) -> str:
    """Return the default message of an error: the first line of its docstring."""
    return (inspect.getdoc(error) or "").partition("\n")[0]


STAGE_ERRORS: dict[str, type[StageError]] = {error.code: error for error in StageError.__subclasses__()}
