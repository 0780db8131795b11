"""A power failure between normalize and the resizes, as a stack sees it: the master is gone, or damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from deploy.local.stack import Stack
from tests.integration.api_helpers import freeze_process, get_status, submit_photo, wait_for_image, wait_until
from tests.support.images import encode_image, photo

SIZES = {"small": (160, 120), "medium": (640, 480), "large": (1600, 1200)}


def _zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize("lose", [Path.unlink, _zero], ids=["removed", "zeroed"])
def test_a_job_whose_master_is_lost_ends_done_with_its_previews(
    client: httpx.Client, stack: Stack, lose: Callable[[Path], None]
) -> None:
    content = encode_image(photo(2000, 1500), "jpeg")

    with freeze_process(stack, "resize"):
        task_id = submit_photo(client, content)
        wait_until(lambda: _is_normalized(client, task_id), "a master")
        (master,) = (stack.blob_folder / task_id).glob("normalize.*")
        lose(master)

    assert {name: wait_for_image(client, task_id, name).size for name in SIZES} == SIZES
    assert get_status(client, task_id)["stages"]["normalize"]["attempts"] == 2


def _is_normalized(client: httpx.Client, task_id: str) -> bool:
    return bool(get_status(client, task_id)["stages"]["normalize"]["state"] == "done")
