"""Files of presets under a real gateway: a broken one stops the start, and later changes nothing but is loud."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.local.home import ROOT
from deploy.local.stack import Stack
from storage.documents import asset_key
from tests.integration.api_helpers import wait_until
from tests.integration.lone_gateway import LoneGateway, run_lone_gateway
from tests.support.http_options import HTTP_OPTIONS
from tests.support.images import encode_image, photo

LOGO = encode_image(photo(8, 8), "png")
RIGHT = """[product.renditions.zoom]
edge = 800
watermark = { image = "logo.png" }
"""
BROKEN = "[product.renditions.zoom]\nedgee = 800\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder as Kubernetes mounts a ConfigMap: its files are links through `..data`, which is replaced whole."""
    folder = tmp_path / "presets"
    folder.mkdir()
    write(folder, RIGHT)
    for name in ("presets.toml", "logo.png"):
        (folder / name).symlink_to(f"..data/{name}")
    return folder


def write(folder: Path, text: str) -> None:
    """Replace the content of the folder at once."""
    version = folder / f"..{len(list(folder.iterdir()))}"
    version.mkdir()
    (version / "presets.toml").write_text(text, encoding="utf-8")
    (version / "logo.png").write_bytes(LOGO)
    (folder / "..new").symlink_to(version.name)
    (folder / "..new").rename(folder / "..data")


@pytest.fixture
def gateway(redis_and_mongo: Stack, tmp_path: Path, data: Path) -> Iterator[LoneGateway]:
    with run_lone_gateway(redis_and_mongo, tmp_path, DARKROOM_PRESETS=str(data)) as gateway:
        yield gateway


def get(gateway: LoneGateway, path: str) -> Any:
    return httpx.get(f"{gateway.url}{path}", timeout=5, **HTTP_OPTIONS)


def version(gateway: LoneGateway) -> str:
    return str(get(gateway, "/presets/product").json()["version"])


def is_degraded(gateway: LoneGateway) -> bool:
    readiness = get(gateway, "/readyz")
    assert readiness.is_success
    return bool(readiness.json()["status"] == "degraded" and not readiness.json()["checks"]["presets"]["ok"])


def test_a_broken_file_keeps_the_presets_and_is_loud_until_it_is_mended(
    gateway: LoneGateway, data: Path, tmp_path: Path
) -> None:
    before = version(gateway)
    assert (gateway.blob_folder / asset_key(sha256(LOGO).hexdigest())).read_bytes() == LOGO

    write(data, BROKEN)
    wait_until(lambda: is_degraded(gateway), "the broken file to be seen")

    assert version(gateway) == before
    assert "darkroom_presets_last_load_successful 0.0" in get(gateway, "/metrics").text
    log = (tmp_path / "log").read_text(encoding="utf-8")
    assert log.count("presets.load_failed") == 1
    assert "Did you mean edge?" in log

    write(data, RIGHT.replace("800", "900"))
    wait_until(lambda: version(gateway) != before, "the mended file to be in force")
    assert get(gateway, "/readyz").json()["checks"]["presets"]["ok"]
    assert "darkroom_presets_last_load_successful 1.0" in get(gateway, "/metrics").text


def test_a_hangup_reloads_the_presets_and_does_not_end_the_gateway(gateway: LoneGateway, tmp_path: Path) -> None:
    def count_loads() -> int:
        return (tmp_path / "log").read_text(encoding="utf-8").count("presets.loaded")

    assert count_loads() == 1

    gateway.process.send_signal(signal.SIGHUP)

    wait_until(lambda: count_loads() == 2, "the presets to be loaded again")
    assert get(gateway, "/readyz").json()["status"] == "ready"


def test_a_gateway_does_not_start_with_mistakes_in_its_presets(tmp_path: Path) -> None:
    (tmp_path / "presets.toml").write_text(f"{BROKEN}dpr = [0]\n", encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "gateway", "--port", "0"],
        cwd=ROOT,
        env={**os.environ, "DARKROOM_PRESETS": str(tmp_path / "presets.toml")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "darkroom: presets.toml:2: product.renditions.zoom.edgee: There is no such name. Did you mean edge?",
        "darkroom: presets.toml:3: product.renditions.zoom.dpr[0]: It should be at least 1, not 0.",
    ]
