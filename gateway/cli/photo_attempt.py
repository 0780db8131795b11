"""One attempt to upload a photo: its outcome, whatever the error, and whom the error concerns."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import httpx

from ..client import AsyncClient
from ..client.problem import Problem
from ..client.retry import BUSY_STATUSES, PROXY_ERROR_STATUSES
from .errors import describe_error, exit_code_of_problem
from .exit_codes import ExitCode
from .humanize import format_bytes
from .photo_upload import Bar, PhotoUpload, SaveError
from .photos import Photo, UploadRequest
from .plan import UploadOptions
from .report import PhotoOutcome, Result

BarFactory = Callable[[Photo], AbstractContextManager[Bar]]


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """The outcome of an attempt, and what it means for other photos."""

    outcome: PhotoOutcome
    is_gateway_unavailable: bool = False
    """Whether the gateway is unavailable or busy."""
    is_save_error: bool = False
    """Whether a result could not be written."""
    problem: Problem | None = None
    """The problem that ended it; None after any other end, and when the photo itself is refused."""


async def attempt_upload(
    client: AsyncClient, photo: Photo, request: UploadRequest, options: UploadOptions, bars: BarFactory
) -> Attempt:
    """Upload a photo, with the retries of the client, and return how that ended."""
    try:
        with bars(photo) as bar:
            return Attempt(outcome=await PhotoUpload(client, photo, request, options, bar).run())
    except Problem as problem:
        result = Result.REFUSED if exit_code_of_problem(problem) is ExitCode.REFUSED else Result.UNAVAILABLE
        outcome = PhotoOutcome(file=photo.display_name, result=result, code=problem.code, message=problem.detail)
        is_unavailable = problem.status in BUSY_STATUSES | PROXY_ERROR_STATUSES
        return Attempt(outcome=outcome, is_gateway_unavailable=is_unavailable, problem=problem)
    except httpx.LocalProtocolError:
        return Attempt(outcome=_unusable_outcome(photo, "The file changed while it was being uploaded."))
    except httpx.TransportError as error:
        outcome = PhotoOutcome(file=photo.display_name, result=Result.UNAVAILABLE, message=describe_error(error))
        return Attempt(outcome=outcome, is_gateway_unavailable=True)
    except SaveError as error:
        return Attempt(outcome=_unusable_outcome(photo, str(error)), is_save_error=True)
    except OSError as error:
        return Attempt(outcome=_unusable_outcome(photo, f"{error.strerror or error}."))


def refuse_too_large(photo: Photo, upload_bytes: int | None) -> PhotoOutcome | None:
    """Return the gateway's refusal of a photo that is larger than `upload_bytes`, without uploading it; else None."""
    if upload_bytes is None or photo.size <= upload_bytes:
        return None
    message = f"The file has {format_bytes(photo.size)}; the limit is {format_bytes(upload_bytes)}."
    return PhotoOutcome(file=photo.display_name, result=Result.REFUSED, code="upload_too_large", message=message)


def _unusable_outcome(photo: Photo, message: str) -> PhotoOutcome:
    return PhotoOutcome(file=photo.display_name, result=Result.UNUSABLE, message=message)
