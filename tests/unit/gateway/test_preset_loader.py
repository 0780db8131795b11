"""The loader of presets: what it puts in force, and when; what a mistake or a store that is down changes."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from obstore.exceptions import GenericError
from obstore.store import MemoryStore
from prometheus_client import CollectorRegistry
from structlog.typing import EventDict

from gateway import preset_loader
from gateway.preset_loader import PresetLoader
from gateway.preset_metrics import PresetMetrics
from pipeline.presets.registry import Presets, PresetsNotReady, PresetUnknown
from pipeline.settings import Settings
from storage.blobs import Blobs
from storage.documents import asset_key
from tests.support.images import encode_image, photo
from tests.unit.gateway.conftest import SETTINGS

LOGO = encode_image(photo(8, 8), "png")
MARKED = '[product.renditions.zoom]\nedge = 100\nwatermark = { image = "logo.png" }\n'


class StubbornBlobs(Blobs):
    """Blobs that can be down."""

    is_down = False

    def put(self, key: str, content: bytes | Sequence[bytes], **options: Any) -> None:
        if self.is_down:
            raise GenericError("the store does not answer")
        super().put(key, content, **options)


class Loading:
    """A loader with its presets, its file, its store and its metrics."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "presets.toml"
        settings = Settings(**{**dict(SETTINGS), "presets": str(self.file)})
        self.registry = CollectorRegistry()
        self.blobs = StubbornBlobs(MemoryStore())
        self.presets = Presets(settings.renditions, is_ready=False)
        self.loader = PresetLoader(self.presets, self.blobs, settings, PresetMetrics(self.registry))

    async def load(self, text: str | None = None, *, force: bool = False) -> Presets:
        if text is not None:
            self.file.write_text(text, encoding="utf-8")
        await self.loader.load(force=force)
        return self.presets

    def metric(self, name: str) -> float | None:
        return self.registry.get_sample_value(f"darkroom_{name}")


@pytest.fixture
def loading(tmp_path: Path) -> Loading:
    (tmp_path / "logo.png").write_bytes(LOGO)
    return Loading(tmp_path)


def edge(pixels: int, name: str = "product") -> str:
    return f"[{name}.renditions.card]\nedge = {pixels}\n"


def failures(logs: list[EventDict]) -> list[EventDict]:
    return [each for each in logs if each["event"] == "presets.load_failed"]


async def test_no_preset_is_in_force_before_the_first_load(loading: Loading) -> None:
    with pytest.raises(PresetsNotReady):
        loading.presets.get()


async def test_default_is_there_beside_the_presets_of_a_file(loading: Loading) -> None:
    presets = await loading.load(edge(10))

    assert [preset.name for preset in presets] == ["default", "product"]
    assert presets.get().definition.renditions.keys() == {"small", "medium", "large"}


async def test_a_default_in_the_file_replaces_that_of_the_setting(loading: Loading) -> None:
    presets = await loading.load(edge(10, "default"))

    assert presets.get().definition.renditions.keys() == {"card"}


async def test_a_change_of_the_file_is_put_in_force(loading: Loading) -> None:
    before = (await loading.load(edge(10))).get("product").version

    after = (await loading.load(edge(11))).get("product").version

    assert before != after
    assert loading.metric("presets") == 2


async def test_a_preset_that_is_not_in_the_file_any_more_is_unknown(loading: Loading) -> None:
    await loading.load(edge(10) + edge(10, "other"))

    presets = await loading.load(edge(10))

    with pytest.raises(PresetUnknown):
        presets.get("other")


async def test_a_file_with_mistakes_keeps_the_presets_before(loading: Loading, logs: list[EventDict]) -> None:
    before = (await loading.load(edge(10))).get("product")

    presets = await loading.load("[product.renditions.card]\nedgee = 10\n")

    assert presets.get("product") is before
    assert (presets.is_ready, presets.is_current) == (True, False)
    assert loading.metric("presets_last_load_successful") == 0
    (failure,) = failures(logs)
    assert failure["mistakes"] == [
        "presets.toml:2: product.renditions.card.edgee: There is no such name. Did you mean edge?"
    ]


async def test_a_file_with_mistakes_is_logged_once(loading: Loading, logs: list[EventDict]) -> None:
    for force in (False, False, True):
        await loading.load("broken", force=force)

    await loading.load("broken too")

    assert len(failures(logs)) == 2


async def test_a_file_that_is_mended_is_put_in_force(loading: Loading) -> None:
    await loading.load("broken")

    presets = await loading.load(edge(10))

    assert presets.is_current
    assert loading.metric("presets_last_load_successful") == 1
    assert loading.metric("presets_last_load_success_timestamp_seconds")


async def test_a_file_that_is_gone_keeps_the_presets(loading: Loading) -> None:
    await loading.load(edge(10))

    loading.file.unlink()
    presets = await loading.load()

    assert presets.get("product")
    assert not presets.is_current


async def test_images_are_stored_by_the_hash_of_their_bytes(loading: Loading) -> None:
    presets = await loading.load(MARKED)

    digest = sha256(LOGO).hexdigest()
    assert presets.get("product").assets == {"logo.png": digest}
    assert loading.blobs.get(asset_key(digest)) == LOGO


async def test_images_that_the_store_has_lost_are_stored_again(
    loading: Loading, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (await loading.load(MARKED)).get("product")
    key = asset_key(sha256(LOGO).hexdigest())
    loading.blobs.remove_folder("assets")
    assert not loading.blobs.exists(key)

    monkeypatch.setattr(preset_loader, "IMAGES_SECONDS", 0)
    presets = await loading.load()

    assert loading.blobs.get(key) == LOGO
    assert presets.get("product") is before


async def test_other_bytes_of_an_image_are_another_version(loading: Loading) -> None:
    before = (await loading.load(MARKED)).get("product").version

    other = encode_image(photo(9, 9), "png")
    (loading.file.parent / "logo.png").write_bytes(other)
    presets = await loading.load()

    assert presets.get("product").version != before
    assert loading.blobs.get(asset_key(sha256(other).hexdigest())) == other


async def test_an_image_that_appears_later_mends_the_load(loading: Loading) -> None:
    logo = loading.file.parent / "logo.png"
    logo.unlink()
    assert not (await loading.load(MARKED)).is_current

    logo.write_bytes(LOGO)

    assert (await loading.load()).is_current


async def test_presets_wait_until_their_images_are_stored(loading: Loading, logs: list[EventDict]) -> None:
    await loading.load(edge(10))
    loading.blobs.is_down = True

    for _ in range(2):
        presets = await loading.load(MARKED)
        assert presets.get("product").definition.renditions.keys() == {"card"}
        assert not presets.is_current

    loading.blobs.is_down = False
    presets = await loading.load()
    assert presets.get("product").definition.renditions.keys() == {"zoom"}
    assert [failure["reason"] for failure in failures(logs)] == ["store"]


async def test_a_file_that_has_not_changed_is_not_loaded_again(loading: Loading) -> None:
    before = (await loading.load(edge(10))).get("product")

    assert (await loading.load()).get("product") is before
    assert (await loading.load(force=True)).get("product") is not before


async def test_a_destination_that_is_not_in_the_settings_keeps_the_presets_before(
    loading: Loading, logs: list[EventDict]
) -> None:
    await loading.load(edge(100))

    presets = await loading.load(f'product.destination = {{ name = "shop", key = "{{task_id}}" }}\n{edge(200)}')

    assert presets.get("product").definition.destination is None
    assert "DARKROOM_DESTINATIONS has no shop" in failures(logs)[0]["mistakes"][0]
