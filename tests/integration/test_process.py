"""`POST /process` through real workers: several steps, one output."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.integration.api_helpers import difference, submit_operation, wait_for_end, wait_for_image
from tests.support.images import decode_image, encode_image, photo

STEPS = [
    {"crop": {"left": 8, "top": 0, "width": 64, "height": 64}},
    {"resize": 32},
    "grayscale",
    {"rotate": 90},
    {"pad": {"pixels": 4}},
    {"format": "png"},
]


@pytest.fixture(scope="module")
def plain() -> bytes:
    return encode_image(photo(96, 64))


def test_five_steps_run_in_their_order(client: httpx.Client, plain: bytes) -> None:
    task_id = submit_operation(client, "process", plain, steps=json.dumps(STEPS), background="red")

    image = wait_for_image(client, task_id)

    expected = decode_image(plain).crop((8, 0, 72, 64)).resize((32, 32)).convert("L").rotate(-90)
    assert image.size == (40, 40)
    assert difference(image.crop((4, 4, 36, 36)).convert("L"), expected) < 3


def test_one_step_makes_the_same_file_as_its_operation(client: httpx.Client, plain: bytes) -> None:
    pairs: dict[str, tuple[dict[str, object], object]] = {
        "crop": ({"aspect": "1:1"}, {"crop": [1, 1]}),
        "grayscale": ({}, "grayscale"),
        "resize": ({"width": 48, "fit": "inside"}, {"resize": {"width": 48}}),
    }

    for operation, (fields, step) in pairs.items():
        one = submit_operation(client, operation, plain, **fields)
        other = submit_operation(client, "process", plain, steps=json.dumps([step]))
        digests = [wait_for_end(client, task_id)["renditions"]["output"]["sha256"] for task_id in (one, other)]
        assert digests[0] == digests[1], operation


def test_a_step_that_does_not_fit_the_image_fails_the_job(client: httpx.Client, plain: bytes) -> None:
    steps = ["grayscale", {"crop": {"left": 500, "top": 0, "width": 10, "height": 10}}]

    job = wait_for_end(client, submit_operation(client, "process", plain, steps=json.dumps(steps)))

    assert (job["status"], job["failure"]["code"]) == ("failed", "invalid_operation")
    assert [error["pointer"] for error in job["failure"]["errors"]] == ["/steps/1/crop/left"]
