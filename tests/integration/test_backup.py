"""A backup taken while everything runs is a Darkroom again, in another place, with the work that was under way."""

from __future__ import annotations

from pathlib import Path

import httpx

from deploy.backup.archive import ArchiveReader
from deploy.backup.restore import restore
from deploy.backup.save import save
from deploy.local.stack import Stack
from pipeline.settings import Settings
from tests.conftest import SHORT_TIMEOUTS
from tests.integration.api_helpers import submit_photo, wait_for_end
from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.support.images import encode_image, photo


def _settings(stack: Stack) -> Settings:
    return Settings(redis_url=stack.redis_url, mongo_url=stack.mongo_url, blob_url=stack.blob_folder.as_uri())


def test_a_backup_restored_elsewhere_serves_what_was_done_and_finishes_what_was_not(
    client: httpx.Client, stack: Stack, tmp_path: Path
) -> None:
    done = wait_for_end(client, submit_photo(client, encode_image(photo(900, 600), "jpeg")))
    stack.stop_process("normalize")
    try:
        waiting = submit_photo(client, encode_image(photo(901, 600), "jpeg"))
        with (tmp_path / "backup").open("wb") as file:
            save(_settings(stack), file)
    finally:
        stack.start_process("normalize")

    elsewhere = tmp_path / "elsewhere"
    with Stack(elsewhere, shared_pool=1, environment=SHORT_TIMEOUTS, gateway=False, workers=False) as other:
        with (tmp_path / "backup").open("rb") as file:
            restore(_settings(other), ArchiveReader(file))
        other.start_process("worker", wait=False)
        other.start_process("gateway")
        with httpx.Client(base_url=other.url, **HTTP_CLIENT_OPTIONS) as restored:
            small = restored.get(f"/result/{done['task_id']}/small")
            finished = wait_for_end(restored, waiting)

    assert small.headers["etag"] == f'"{done["renditions"]["small"]["sha256"]}"'
    assert finished["status"] == "done"
