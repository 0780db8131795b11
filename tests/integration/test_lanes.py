"""Lanes: bulk work holds nobody up."""

from __future__ import annotations

import time

import httpx
from PIL import Image

from deploy.local.stack import Stack
from tests.integration.api_helpers import get_status, submit_photo, wait_for_end
from tests.support.images import encode_image, photo

BULKY = 6


def test_a_photo_goes_ahead_of_the_bulk_work_that_came_before_it(stack: Stack, client: httpx.Client) -> None:
    heavy = encode_image(Image.new("RGB", (1700, 1700), "teal"), "bmp")
    stack.stop_process("normalize")
    try:
        bulky = [submit_photo(client, heavy) for _ in range(BULKY)]
        light = _sent_ahead(client)
    finally:
        stack.start_process("normalize")
    jobs = [wait_for_end(client, job) for job in (light, *bulky)]

    assert [job["lane"] for job in jobs] == ["express"] + ["bulk"] * BULKY
    first, *others = (job["stages"]["normalize"]["started_at"] for job in jobs)
    assert sum(other < first for other in others) <= 1 + 1  # one in the child's hands, and then by turns


def _sent_ahead(client: httpx.Client) -> str:
    """Send a small photo once what other tests have sent no longer counts as our burst."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        task_id = submit_photo(client, encode_image(photo(), "jpeg"))
        if get_status(client, task_id)["lane"] == "express":
            return task_id
        time.sleep(1)
    raise AssertionError("the burst of other tests did not end")
