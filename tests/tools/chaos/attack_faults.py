"""Faults that clients cause: what they hold open or do not read, ambiguous requests, and races about one job."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from threading import Barrier

import httpx

from pipeline.http_settings import HttpSettings
from tests.integration.raw_http import open_socket
from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.tools.bench.usage import own_resident_bytes
from tests.tools.chaos.gateway_faults import HALF_A_FORM
from tests.tools.chaos.keyed_upload import KeyedUpload
from tests.tools.chaos.load import Upload, post_upload
from tests.tools.chaos.moves import UNANSWERED, post_move
from tests.tools.chaos.samples import large_result, samples
from tests.tools.chaos.scene import FaultEffect, Scene
from tests.tools.chaos.violations import ViolationKind
from tests.tools.chaos.witness import wait_for

SECONDS = 5.0
SILENT = 400  # connections
SLOW_READERS = 150  # of one result of 4 MB
SLOW_READER_BUFFER = 4096  # bytes that the kernel may take in advance
MAX_GROWTH_BYTES = 200 * 2**20  # of a gateway with so many readers: a third of what whole results take
RESULT_SECONDS = 20.0
RACED_JOBS = ("truncated.jpg", "crop-outside.jpg", "12-megapixels.jpg")  # the last ones are still under way
RACES = 2  # of each
RACERS = 8  # half of them retry, half of them delete
RACE_ANSWERS = {"delete": {204, 404, 503}, "retry": {202, 404, 409, 503}}
ENDLESS_HEADERS = b"GET /jobs HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: " + b"a" * 2**20 + b"\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
TWO_READINGS = (
    b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    + SMUGGLED,
    b"POST /upload HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n\r\n%s"
    % (len(SMUGGLED), SMUGGLED),
)


def gateway_attacked(scene: Scene) -> Iterator[FaultEffect]:
    """Take every upload that one address may have open, stall them all, and send what no client should, for a while."""
    name, seconds = scene.pick_gateway(), scene.pick_seconds(2, 5)
    host, _, port = scene.stack.urls[name].removeprefix("http://").partition(":")
    with ExitStack() as sockets:

        def send(request: bytes) -> None:
            attacker = sockets.enter_context(socket.create_connection((host, int(port)), timeout=SECONDS))
            with suppress(OSError):  # the gateway may end the connection at any time
                attacker.sendall(request)

        for _ in range(HttpSettings().max_uploads_per_caller + 5):
            send(HALF_A_FORM)
        for request in (ENDLESS_HEADERS, *TWO_READINGS):
            send(request)
        yield FaultEffect(f"{name}, {seconds:.1f} s")
        time.sleep(seconds)


def connections_silent(scene: Scene) -> Iterator[FaultEffect]:
    """Open hundreds of connections to one gateway and send nothing: uploads on others are accepted all the same."""
    name, seconds = scene.pick_gateway(), scene.pick_seconds(2, 5)
    url = scene.stack.urls[name]
    with ExitStack() as sockets:
        for _ in range(SILENT):
            sockets.enter_context(open_socket(url))
        yield FaultEffect(f"{SILENT} to {name}, {seconds:.1f} s")
        KeyedUpload(scene).send_again(url, after=f"{SILENT} others connected", seconds=SECONDS)
        time.sleep(seconds)


def readers_slow(scene: Scene) -> Iterator[FaultEffect]:
    """Have many clients ask one gateway for a large result and read none of it: it holds little of each.

    Uploads on other connections are accepted all the same.
    """
    name, seconds = scene.pick_gateway(), scene.pick_seconds(2, 5)
    url, upload = scene.stack.urls[name], scene.add_upload(large_result())
    with httpx.Client(timeout=30, **HTTP_CLIENT_OPTIONS) as client:
        post_upload(client, url, upload, key=f"large-{time.time_ns()}")
    task_id = upload.task_id
    if task_id is None or not wait_for(partial(scene.witness.has_ended, task_id), RESULT_SECONDS):
        return
    pid = scene.stack.pid(name)
    before = own_resident_bytes(pid)
    with ExitStack() as sockets:
        for _ in range(SLOW_READERS):
            reader = sockets.enter_context(open_socket(url, receive_bytes=SLOW_READER_BUFFER))
            reader.sendall(f"GET /result/{task_id} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        yield FaultEffect(f"{SLOW_READERS} of {name}, {seconds:.1f} s")
        KeyedUpload(scene).send_again(url, after=f"{SLOW_READERS} clients stopped reading", seconds=SECONDS)
        time.sleep(seconds)
        growth = own_resident_bytes(pid) - before
    if growth > MAX_GROWTH_BYTES:
        sentence = f"{name} grew by {growth >> 20} MiB for {SLOW_READERS} clients that do not read"
        scene.report(ViolationKind.BUDGET_EXCEEDED, sentence)


def job_raced(scene: Scene) -> Iterator[FaultEffect]:
    """Delete and retry each of some jobs from many clients at once, as soon as it can be retried or is under way."""
    chosen = {sample.name: sample for sample in samples()}
    raced = [scene.add_upload(chosen[name], is_raced=True) for name in RACED_JOBS for _ in range(RACES)]
    yield FaultEffect(f"{len(raced)} jobs")
    urls = list(scene.stack.urls.values())
    with httpx.Client(timeout=30, **HTTP_CLIENT_OPTIONS) as client, ThreadPoolExecutor(RACERS) as threads:
        for upload in raced:
            post_upload(client, urls[0], upload, key=f"raced-{time.time_ns()}")
        for upload in reversed(raced):
            if upload.task_id is None:
                continue
            if upload.sample.expected_state == "failed":
                wait_for(partial(scene.witness.has_ended, upload.task_id), SECONDS, look=0.01)
            barrier = Barrier(RACERS)
            turns = [(("delete", "retry")[turn % 2], urls[turn // 2 % len(urls)]) for turn in range(RACERS)]
            list(threads.map(partial(_race, scene, client, barrier, upload), turns))


def _race(scene: Scene, client: httpx.Client, barrier: Barrier, upload: Upload, turn: tuple[str, str]) -> None:
    action, url = turn
    barrier.wait()
    status = post_move(client, url, upload, action)
    if status != UNANSWERED and int(status) not in RACE_ANSWERS[action]:
        sentence = f"{action} of {upload.name} was answered {status}"
        scene.report(ViolationKind.REFUSED, sentence, upload.task_id)
