"""A batch: many photos on their way at once, a few at a time, until all are through or it is no use going on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

import httpx

from gateway.cli.exit_codes import ExitCode, exit_code_of
from gateway.cli.humanize import size
from gateway.cli.photo_upload import Bar, CannotSave, PhotoUpload
from gateway.cli.photos import Ask, Photo
from gateway.cli.plan import UploadOptions
from gateway.cli.report import Outcome, Result
from gateway.cli.session import reason
from gateway.client import AsyncClient
from gateway.client.problem import Problem
from gateway.client.retry import BETWEEN, BUSY

Bars = Callable[[Photo], AbstractContextManager[Bar]]
Tell = Callable[[Outcome], None]
TAKEN = frozenset({Result.DONE, Result.ACCEPTED, Result.FAILED})
"""The gateway made a job of the photo."""


class Batch:
    """The walks of many photos. `outcomes` holds those that have ended, also of a batch that is interrupted."""

    def __init__(self, photos: Sequence[Photo], ask: Ask, options: UploadOptions, *, bars: Bars, tell: Tell) -> None:
        """Take what is to be done, and where progress and outcomes are shown."""
        self._photos = photos
        self._ask = ask
        self._options = options
        self._bars = bars
        self._tell = tell
        self._is_hopeless = False
        self.outcomes: list[Outcome] = []

    @property
    def complete(self) -> bool:
        """Whether every photo has had its turn."""
        return len(self.outcomes) == len(self._photos)

    async def run(self, client: AsyncClient, *, concurrency: int, upload_bytes: int | None) -> None:
        """Send what is not larger than may be sent, `concurrency` photos at a time."""
        waiting = iter(self._photos)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(concurrency, len(self._photos))):
                group.create_task(self._work(client, waiting, upload_bytes))

    async def _work(self, client: AsyncClient, waiting: Iterator[Photo], upload_bytes: int | None) -> None:
        for photo in waiting:
            if upload_bytes is not None and photo.size > upload_bytes:
                outcome = _too_large(photo, upload_bytes)
            else:
                outcome = await self._walked(client, photo)
            self.outcomes.append(outcome)
            self._tell(outcome)
            if self._is_hopeless:
                return

    async def _walked(self, client: AsyncClient, photo: Photo) -> Outcome:
        """PhotoUpload a photo, and once more whenever the gateway took another meanwhile: it is there."""
        while True:
            ended = len(self.outcomes)
            outcome, is_gateway_away = await self._attempt(client, photo)
            if not is_gateway_away:
                return outcome
            if self._is_hopeless or not self._has_taken_any(self.outcomes[ended:]):
                self._is_hopeless = True
                return outcome

    @staticmethod
    def _has_taken_any(outcomes: Sequence[Outcome]) -> bool:
        return any(outcome.result in TAKEN and not outcome.skipped for outcome in outcomes)

    async def _attempt(self, client: AsyncClient, photo: Photo) -> tuple[Outcome, bool]:
        """Return what became of a photo, and whether that is because the gateway is away or busy."""
        try:
            with self._bars(photo) as bar:
                return await PhotoUpload(client, photo, self._ask, self._options, bar).run(), False
        except Problem as problem:
            result = Result.REFUSED if exit_code_of(problem) is ExitCode.REFUSED else Result.UNAVAILABLE
            outcome = Outcome(file=photo.shown, result=result, code=problem.code, message=problem.detail)
            return outcome, problem.status in BUSY | BETWEEN
        except httpx.LocalProtocolError:
            return _unusable(photo, "It changed while it was being sent."), False
        except httpx.TransportError as error:
            return Outcome(file=photo.shown, result=Result.UNAVAILABLE, message=reason(error)), True
        except CannotSave as error:
            self._is_hopeless = True
            return _unusable(photo, str(error)), False
        except OSError as error:
            return _unusable(photo, f"{error.strerror or error}."), False


def _unusable(photo: Photo, message: str) -> Outcome:
    return Outcome(file=photo.shown, result=Result.UNUSABLE, message=message)


def _too_large(photo: Photo, upload_bytes: int) -> Outcome:
    """Refuse a photo as the gateway would, without sending it all the way there."""
    message = f"The file has {size(photo.size)}; {size(upload_bytes)} are allowed."
    return Outcome(file=photo.shown, result=Result.REFUSED, code="upload_too_large", message=message)
