"""Faults around one upload with an Idempotency-Key: its gateway dies or stops, or it takes longer than a lease."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tests.integration.raw_http import open_socket
from tests.tools.chaos.keyed_upload import NO_ANSWER, KeyedUpload
from tests.tools.chaos.scene import FaultEffect, Scene
from tests.tools.chaos.timing import RECEIVE_SECONDS

AFTER_THE_END = (0.0, 0.3, 0.6, 0.9)  # of the time from the last byte to the answer
LONGEST_ANSWER_SECONDS = 0.5
ON_ITS_WAY_SECONDS = 0.1
SLOW_SECONDS = RECEIVE_SECONDS - 2


def gateway_killed_in_acceptance(scene: Scene) -> Iterator[FaultEffect]:
    """SIGKILL a gateway in the head, in the body and after the end of an upload, and send each again to the other."""
    urls = scene.random.sample(list(scene.stack.urls.items()), 2)
    answer_seconds = min(_measure_answer(scene, urls[0][1]), LONGEST_ANSWER_SECONDS)
    yield FaultEffect(f"an answer takes {answer_seconds * 1000:.0f} ms")
    shares = [share + scene.pick_seconds(0, 0.3) for share in AFTER_THE_END]
    moments = [(0.5, 0.0, 0.0), (1.0, 0.5, 0.0), *((1.0, 1.0, share * answer_seconds) for share in shares)]
    for head_share, body_share, delay in moments:
        (killed, url), (_, other_url) = urls
        upload = KeyedUpload(scene)
        head, body = upload.build_request(url)
        request = head[: int(len(head) * head_share)] + body[: int(len(body) * body_share)]
        pid = scene.stack.pid(killed)
        with open_socket(url) as wire:
            wire.sendall(request)
            time.sleep(delay if body_share == 1 else ON_ITS_WAY_SECONDS)
            scene.stack.send([pid], signal.SIGKILL)
            upload.read_answer(wire)
        rest = len(head) + len(body) - len(request)
        moment = f"{delay * 1000:.0f} ms after its last byte" if not rest else f"{rest} bytes before its end"
        upload.send_again(other_url, after=f"{killed} was killed {moment}")
        scene.stack.wait_ready(killed)
        urls.reverse()


def gateway_stopped(scene: Scene) -> Iterator[FaultEffect]:
    """SIGTERM a gateway in the middle of a slow upload, which is answered all the same; then send it to the other."""
    name = scene.pick_gateway()
    url, other_url = scene.stack.urls[name], _other_url(scene, name)
    upload, seconds = KeyedUpload(scene), scene.pick_seconds(1, SLOW_SECONDS)
    with open_socket(url) as wire, ThreadPoolExecutor(1) as threads:
        wire.settimeout(SLOW_SECONDS + RECEIVE_SECONDS)
        answer = threads.submit(upload.send_slowly, wire, url, seconds)
        time.sleep(seconds / 4)
        yield FaultEffect(f"{name}, with {seconds * 3 / 4:.1f} s of an upload to come")
        scene.stack.restart_process(name)
        if answer.result() == NO_ANSWER:
            upload.report_no_answer(f"{name} was stopped in the middle of it")
    upload.send_again(other_url, after=f"{name} was stopped")


def upload_slow(scene: Scene) -> Iterator[FaultEffect]:
    """Upload for longer than an Idempotency-Key is held, and send the same to the other gateway meanwhile."""
    name = scene.pick_gateway()
    url, other_url = scene.stack.urls[name], _other_url(scene, name)
    upload = KeyedUpload(scene)
    with open_socket(url) as wire, ThreadPoolExecutor(1) as threads:
        wire.settimeout(SLOW_SECONDS + RECEIVE_SECONDS)
        answer = threads.submit(upload.send_slowly, wire, url, SLOW_SECONDS)
        time.sleep(SLOW_SECONDS / 2)
        yield FaultEffect(f"{name}, {SLOW_SECONDS:.0f} s")
        upload.send_again(other_url, after=f"a slow upload with its key began at {name}")
        if answer.result() == NO_ANSWER:
            upload.report_no_answer(f"{SLOW_SECONDS:.0f} s")


def _measure_answer(scene: Scene, url: str) -> float:
    """Upload once, and return the seconds from the last byte to the answer."""
    upload = KeyedUpload(scene)
    head, body = upload.build_request(url)
    with open_socket(url) as wire:
        wire.sendall(head + body)
        sent = time.monotonic()
        upload.read_answer(wire)
    return time.monotonic() - sent


def _other_url(scene: Scene, name: str) -> str:
    return next(url for other, url in scene.stack.urls.items() if other != name)
