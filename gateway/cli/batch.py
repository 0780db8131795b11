"""A batch: upload many photos, a few at a time, until all have ended or the gateway accepts no more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ..client import AsyncClient
from .photo_attempt import BarFactory, attempt_upload, refuse_too_large
from .photos import Photo, UploadRequest
from .plan import UploadOptions
from .report import PhotoOutcome, Result

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
            outcome = refuse_too_large(photo, upload_bytes) or await self._upload_with_retries(client, photo)
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
            attempt = await attempt_upload(client, photo, self.request, self.options, self.bars)
            self.is_aborted |= attempt.is_save_error
            if not attempt.is_gateway_unavailable:
                return attempt.outcome
            if self.is_aborted or not self._has_accepted_any(self.outcomes[ended_before:]):
                self.is_aborted = True
                return attempt.outcome

    @staticmethod
    def _has_accepted_any(outcomes: Sequence[PhotoOutcome]) -> bool:
        return any(outcome.result in ACCEPTED_RESULTS and not outcome.skipped for outcome in outcomes)
