"""Lanes: bulk work holds nobody up."""

from __future__ import annotations

import time
from typing import Any

import httpx
from PIL import Image

from deploy.local.stack import Stack
from tests.integration.api_helpers import get_status, submit_operation, submit_photo, wait_for_end, wait_until
from tests.support.fakes import RENDITIONS
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


def test_photos_in_jpeg_do_not_wait_for_those_in_avif_that_came_before_them(stack: Stack, client: httpx.Client) -> None:
    stack.stop_process("resize")
    try:
        heavy = [_sent_ahead(client, format="avif") for _ in range(3)]
        light = _sent_ahead(client)
        wait_until(lambda: all(_is_normalized(client, job) for job in (*heavy, light)), "the resizes to be due")
    finally:
        stack.start_process("resize")
    last = max(_starts_of_renditions(wait_for_end(client, light)))
    others = [started for job in heavy for started in _starts_of_renditions(wait_for_end(client, job))]

    assert len(others) == 3 * len(RENDITIONS)
    assert sum(other < last for other in others) <= len(RENDITIONS) + 2  # by turns, and one in each child's hands


def _is_normalized(client: httpx.Client, job: str) -> bool:
    return bool(get_status(client, job)["stages"]["normalize"]["state"] == "done")


def _starts_of_renditions(job: dict[str, Any]) -> list[str]:
    return [job["stages"][name]["started_at"] for name in RENDITIONS]


def _sent_ahead(client: httpx.Client, **fields: str) -> str:
    """Send a small photo once what other tests have sent no longer counts as our burst."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        task_id = submit_operation(client, "upload", encode_image(photo(), "jpeg"), **fields)
        if get_status(client, task_id)["lane"] == "express":
            return task_id
        time.sleep(1)
    raise AssertionError("the burst of other tests did not end")
