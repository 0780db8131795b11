"""Events of jobs while what sends them is killed: each arrives at each endpoint, those of one job in one order."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count

import httpx
import pytest
from pymongo.errors import PyMongoError

from deploy.local.processes import OUTBOUND_WORKER
from deploy.local.stack import Stack
from storage.documents import JobState
from storage.events import EventType
from storage.webhooks import DeliveryState
from tests.conftest import SHORT_TIMEOUTS
from tests.integration.api_helpers import wait_until
from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.support.images import photo_file
from tests.tools.chaos.endpoints import THOROUGH_ENDPOINTS, EventLog, run_endpoints
from tests.tools.chaos.events_check import check_events
from tests.tools.chaos.histories import list_histories
from tests.tools.chaos.image_source import ImageSource, run_image_source
from tests.tools.chaos.load import Upload, post_upload
from tests.tools.chaos.moves import UNANSWERED, post_move
from tests.tools.chaos.samples import Sample
from tests.tools.chaos.timing import SHORT_TIMEOUTS as CHAOS_TIMEOUTS
from tests.tools.chaos.witness import Witness

SEED = 9
JOBS = 30
SECONDS = 120.0
RESULTS_SECONDS = 6
UNCLEAR = {UNANSWERED, "503", "504"}
PHOTO = photo_file(300, 200)
GOOD = Sample(name="good.jpg", content=PHOTO)
GREY = Sample(name="grey.jpg", content=PHOTO, path="/grayscale")
BAD = Sample(name="bad.jpg", content=PHOTO[: len(PHOTO) // 2], expected_state="failed", code="image_truncated")
OUTBOUND = {name: value for name, value in CHAOS_TIMEOUTS.items() if name.split("_")[1] in {"WEBHOOKS", "OUTBOUND"}}


@dataclass(frozen=True)
class Scene:
    """A stack, where its events go, where images come from, and what was uploaded."""

    stack: Stack
    client: httpx.Client
    witness: Witness
    events: EventLog
    images: ImageSource
    uploads: list[Upload] = field(default_factory=list)
    serials: Iterator[int] = field(default_factory=count)

    def submit(self, sample: Sample, *, is_import: bool = False, is_moved: bool = False) -> Upload:
        """Submit an image until it is accepted."""
        upload = Upload(serial=next(self.serials), sample=sample, is_raced=is_moved)
        upload.source_url = self.images.offer(upload.name, sample.content) if is_import else None
        self.uploads.append(upload)
        post = partial(post_upload, self.client, self.stack.url, upload, key=f"key-{upload.serial}")
        wait_until(lambda: post() is None, f"{upload.name} to be accepted", SECONDS)
        assert upload.task_id is not None, upload.answers
        return upload

    def move(self, upload: Upload, move: str) -> None:
        """Ask for a move of a job until the answer is clear."""
        post = partial(post_move, self.client, self.stack.url, upload, move)
        wait_until(lambda: post() not in UNCLEAR, f"a clear answer to {move}", SECONDS)

    def wait_for_ends(self, uploads: Sequence[Upload]) -> None:
        """Wait until the jobs have ended."""
        for upload in uploads:
            wait_until(partial(self._has_ended, str(upload.task_id)), f"{upload.name} to end", SECONDS)

    def _has_ended(self, task_id: str) -> bool:
        with suppress(PyMongoError):
            return self.witness.has_ended(task_id)
        return False

    def is_quiet(self) -> bool:
        """Whether every job has ended and expired, and all its events are delivered."""
        with suppress(PyMongoError):
            done = [job for job in self.witness.jobs() if job.state is JobState.DONE]
            is_over = not self.witness.active_ids() and all(job.blobs_removed_ms for job in done)
            is_sent = not self.witness.has_outboxes() and not self.witness.has_pending_deliveries()
            return is_over and is_sent
        return False


@pytest.fixture
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with run_endpoints(THOROUGH_ENDPOINTS, seed=SEED) as events, run_image_source(seed=SEED) as images:
        environment = SHORT_TIMEOUTS | OUTBOUND | events.environment
        environment |= {"DARKROOM_RETENTION__RESULTS": str(RESULTS_SECONDS), "DARKROOM_FETCH__IDLE_TIMEOUT": "1"}
        folder = tmp_path_factory.mktemp("events")
        with (
            Stack(folder, shared_pool=2, outbound_pool=2, environment=environment) as stack,
            closing(Witness(stack.mongo_url)) as witness,
            httpx.Client(timeout=30, **HTTP_CLIENT_OPTIONS) as client,
        ):
            yield Scene(stack, client, witness, events, images)


def kill(scene: Scene, name: str) -> None:
    """Kill a process and its children while an endpoint waits for the end of a request; return once it is back."""
    wait_until(lambda: any(scene.events.under_way.values()), "an event to be sent", SECONDS)
    children = scene.stack.children(name)
    scene.stack.signal(name, signal.SIGKILL)
    kill_quietly(children)
    scene.stack.wait_ready(name)


def kill_children(scene: Scene, name: str) -> None:
    """Kill the children of a worker while an endpoint waits for the end of a request: the worker replaces them."""
    wait_until(lambda: any(scene.events.under_way.values()), "an event to be sent", SECONDS)
    kill_quietly(scene.stack.children(name))


def kill_quietly(pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


FAULTS: tuple[tuple[Callable[[Scene, str], None], str], ...] = (
    (kill_children, OUTBOUND_WORKER),
    (kill, "gateway"),
    (kill, OUTBOUND_WORKER),
    (kill, "redis"),
    (kill, "mongo"),
)


def submit_and_strike(scene: Scene, strike: Callable[[Scene, str], None], name: str) -> None:
    """Submit some images, strike while their events are under way, then have their jobs moved."""
    again = scene.submit(GOOD, is_moved=True)
    others = [scene.submit(GOOD, is_import=True), scene.submit(GREY), scene.submit(GREY, is_import=True)]
    deleted, retried = scene.submit(GREY, is_moved=True), scene.submit(BAD, is_moved=True)
    strike(scene, name)
    scene.wait_for_ends([again, deleted, retried])
    scene.move(again, "reprocess")
    scene.move(retried, "retry")
    scene.move(deleted, "delete")
    cancelled = scene.submit(GOOD, is_moved=True)
    scene.move(cancelled, "cancel")
    scene.wait_for_ends(others)


@pytest.mark.skipif(sys.platform != "linux", reason="children are found through /proc")
@pytest.mark.timeout(600)
def test_each_event_arrives_in_order_whoever_is_killed_meanwhile(scene: Scene) -> None:
    for strike, name in FAULTS:
        submit_and_strike(scene, strike, name)
    wait_until(scene.is_quiet, "every event to be delivered", SECONDS)

    jobs, arrivals = scene.witness.jobs(), list(scene.events.arrivals)
    violations = check_events(arrivals, list_histories(jobs, scene.uploads), THOROUGH_ENDPOINTS)
    assert [str(violation) for violation in violations] == []
    assert {delivery.state for delivery in scene.witness.deliveries(*DeliveryState)} == {DeliveryState.DELIVERED}
    assert {arrival.type for arrival in arrivals} >= set(EventType) - {EventType.JOB_DEAD, EventType.JOB_CANCELLED}
    assert any(not arrival.is_accepted for arrival in arrivals)
    assert len(scene.uploads) >= JOBS
