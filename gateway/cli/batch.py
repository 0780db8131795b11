"""A batch: upload many photos, a few at a time, until all have ended or the gateway accepts no more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

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
OutcomeCallback = Callable[[PhotoOutcome], None]
ACCEPTED_RESULTS = frozenset({Result.DONE, Result.ACCEPTED, Result.FAILED})
"""The gateway has created a job for the photo."""


@dataclass
class Batch:
    """The uploads of many photos. `outcomes` has the photos that have ended, also after an interruption.

    `bars` shows a photo's progress; `on_outcome` is called when a photo has ended.
    """

    photos: Sequence[Photo]
    request: UploadRequest
    options: UploadOptions
    bars: BarFactory = field(kw_only=True)
    on_outcome: OutcomeCallback = field(kw_only=True)
    outcomes: list[PhotoOutcome] = field(default_factory=list)
    is_aborted: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether every photo has an outcome."""
        return len(self.outcomes) == len(self.photos)

    async def run(self, client: AsyncClient, *, concurrency: int, upload_bytes: int | None) -> None:
        """Upload the photos, `concurrency` at a time. Photos larger than `upload_bytes` are refused here."""
        photos = iter(self.photos)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(concurrency, len(self.photos))):
                group.create_task(self._upload_photos(client, photos, upload_bytes))

    async def _upload_photos(self, client: AsyncClient, photos: Iterator[Photo], upload_bytes: int | None) -> None:
        for photo in photos:
            if upload_bytes is not None and photo.size > upload_bytes:
                outcome = _too_large_outcome(photo, upload_bytes)
            else:
                outcome = await self._upload_with_retries(client, photo)
            self.outcomes.append(outcome)
            self.on_outcome(outcome)
            if self.is_aborted:
                return

    async def _upload_with_retries(self, client: AsyncClient, photo: Photo) -> PhotoOutcome:
        """Upload a photo. If the gateway is unavailable, repeat only if it has accepted another photo meanwhile.

        Otherwise abort the batch: the gateway is unavailable to all photos.
        """
        while True:
            ended_before = len(self.outcomes)
            outcome, is_gateway_unavailable = await self._upload_once(client, photo)
            if not is_gateway_unavailable:
                return outcome
            if self.is_aborted or not self._has_accepted_any(self.outcomes[ended_before:]):
                self.is_aborted = True
                return outcome

    @staticmethod
    def _has_accepted_any(outcomes: Sequence[PhotoOutcome]) -> bool:
        return any(outcome.result in ACCEPTED_RESULTS and not outcome.skipped for outcome in outcomes)

    async def _upload_once(self, client: AsyncClient, photo: Photo) -> tuple[PhotoOutcome, bool]:
        """Return the outcome of a photo, and whether its reason is that the gateway is unavailable or busy."""
        try:
            with self.bars(photo) as bar:
                return await PhotoUpload(client, photo, self.request, self.options, bar).run(), False
        except Problem as problem:
            result = Result.REFUSED if exit_code_of_problem(problem) is ExitCode.REFUSED else Result.UNAVAILABLE
            outcome = PhotoOutcome(file=photo.display_name, result=result, code=problem.code, message=problem.detail)
            return outcome, problem.status in BUSY_STATUSES | PROXY_ERROR_STATUSES
        except httpx.LocalProtocolError:
            return _unusable_outcome(photo, "The file changed while it was being uploaded."), False
        except httpx.TransportError as error:
            return PhotoOutcome(file=photo.display_name, result=Result.UNAVAILABLE, message=describe_error(error)), True
        except SaveError as error:
            self.is_aborted = True
            return _unusable_outcome(photo, str(error)), False
        except OSError as error:
            return _unusable_outcome(photo, f"{error.strerror or error}."), False


def _unusable_outcome(photo: Photo, message: str) -> PhotoOutcome:
    return PhotoOutcome(file=photo.display_name, result=Result.UNUSABLE, message=message)


def _too_large_outcome(photo: Photo, upload_bytes: int) -> PhotoOutcome:
    """Return the gateway's refusal of a photo that is too large, without uploading it."""
    message = f"The file has {format_bytes(photo.size)}; the limit is {format_bytes(upload_bytes)}."
    return PhotoOutcome(file=photo.display_name, result=Result.REFUSED, code="upload_too_large", message=message)
