"""Faults of the gateways: one killed at the worst of moments, and all of them replaced under load."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tests.tools.chaos.scene import FaultEffect, Scene
from tests.tools.chaos.witness import wait_for

HALF_A_FORM = (
    b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n"
    b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="cut.jpg"\r\n\r\n\xff\xd8\xff\xe0'
) + bytes(1_500_000)


def gateway_killed(scene: Scene) -> Iterator[FaultEffect]:
    """SIGKILL a gateway: at any moment, in the middle of an upload, or right after it noted down a job."""
    name = scene.pick_gateway()
    moment = scene.random.choice(("any moment", "mid-upload", "after an insert"))
    if moment == "mid-upload":
        host, _, port = scene.stack.urls[name].removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=5) as upload:
            upload.sendall(HALF_A_FORM)
            time.sleep(0.3)
            scene.stack.signal(name, signal.SIGKILL)
    else:
        if moment == "after an insert":
            newest = scene.witness.newest()
            wait_for(lambda: scene.witness.newest() != newest, 3, look=0.002)
        scene.stack.signal(name, signal.SIGKILL)
    yield FaultEffect(f"{name}, {moment}")


def gateway_frozen(scene: Scene) -> Iterator[FaultEffect]:
    """SIGSTOP a gateway, its sweeper included, for a few seconds."""
    name, seconds = scene.pick_gateway(), scene.pick_seconds(2, 6)
    scene.stack.signal(name, signal.SIGSTOP)
    try:
        yield FaultEffect(f"{name}, {seconds:.1f} s")
        time.sleep(seconds)
    finally:
        scene.stack.signal(name, signal.SIGCONT)


def deploy(scene: Scene) -> Iterator[FaultEffect]:
    """Replace everything in good order: one gateway, the other, then all the workers at once."""
    yield FaultEffect()
    for name in scene.stack.urls:
        scene.stack.restart_process(name)
    with ThreadPoolExecutor(len(scene.stack.workers)) as threads:
        list(threads.map(scene.stack.restart_process, scene.stack.workers))
