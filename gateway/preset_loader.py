"""Keeps the presets of the gateway those of their files: at start, on SIGHUP, and when the files change."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import monotonic

import structlog

from gateway.lifespan import run_in_background
from gateway.preset_metrics import PresetMetrics
from pipeline.presets.loading import Loaded, load_presets, read_files
from pipeline.presets.mistakes import Mistake, PresetMistakes
from pipeline.presets.registry import Presets
from pipeline.presets.source import Snapshot, Unreadable
from pipeline.settings import Settings
from storage.blobs import Blobs
from storage.documents import asset_key
from storage.errors import TRANSIENT_ERRORS

CHECK_SECONDS = 3
START_SECONDS = 10
"""How long the start waits for the first load. It goes on after that, and requests that need a preset are refused."""
IMAGES_SECONDS = 60
"""How often the stored images are looked for: who empties a blob store, or restores an older one, loses them."""
MAX_LOGGED = 20
"""Mistakes in one log line."""
log = structlog.get_logger("gateway")


class PresetLoader:
    """Loads the files of presets, stores the images that they name, and then puts the presets in force, all at once.

    A file with a mistake, or a blob store that does not answer, changes nothing: the presets before stay in force.
    """

    def __init__(self, presets: Presets, blobs: Blobs, settings: Settings, metrics: PresetMetrics) -> None:
        self._presets, self._blobs, self._settings, self._metrics = presets, blobs, settings, metrics
        self._path = Path(settings.presets)
        self._fingerprint = ""
        self._images: tuple[str, ...] = ()
        self._stored: Mapping[str, bytes] = {}
        self._stored_at = 0.0
        self._logged = ""
        self._due = asyncio.Event()

    async def run(self, first: asyncio.Task[None]) -> None:
        """Load when the files have changed, or when it was asked for, until cancelled; after the first load."""
        await first
        while True:
            is_asked = await self._wait()
            await self.load(force=is_asked)

    def reload(self) -> None:
        """Ask for a load now, whether the files have changed or not."""
        self._due.set()

    async def load(self, *, force: bool = False) -> None:
        """Load once if the files have changed, or the last load has failed, or with `force`. Errors are recorded."""
        try:
            loaded = await asyncio.to_thread(self._read, force=force)
            if loaded is None:
                await self._keep_images()
                return
            await asyncio.to_thread(self._store_images, loaded.assets)
        except PresetMistakes as error:
            self._fail("mistakes", [str(mistake) for mistake in error.mistakes])
        except TRANSIENT_ERRORS as error:
            self._fingerprint = ""  # the files are right: the next check tries again
            self._fail("store", [type(error).__name__])
        except Exception as error:
            log.exception("presets.load_broken")  # the loop goes on: the next files may be right
            self._fail("unexpected", [type(error).__name__])
        else:
            self._presets.put_in_force(loaded.presets)
            self._logged = ""
            self._metrics.count_success(len(list(self._presets)))
            versions = {preset.name: preset.version for preset in self._presets}
            log.info("presets.loaded", versions=versions)

    def _read(self, *, force: bool) -> Loaded | None:
        """Return the presets, or None if the files are as they were. Raises `PresetMistakes`."""
        limits = self._settings.preset_limits
        try:
            snapshot = Snapshot(self._path)
        except Unreadable as error:
            self._fingerprint = ""
            raise PresetMistakes([Mistake(str(self._path), "", str(error))]) from None
        if not force and snapshot.fingerprint(self._images, limits.asset_bytes) == self._fingerprint:
            return None
        try:
            return load_presets(
                snapshot,
                limits=limits,
                image_limits=self._settings.limits,
                destinations=self._settings.destinations,
            )
        finally:
            self._images = tuple(snapshot.images)
            self._fingerprint = snapshot.fingerprint()

    async def _keep_images(self) -> None:
        """Store the images of the presets in force again if they are lost. If the store is down, later."""
        if monotonic() - self._stored_at >= IMAGES_SECONDS:
            with suppress(*TRANSIENT_ERRORS):
                await asyncio.to_thread(self._store_images, self._stored)

    def _store_images(self, images: Mapping[str, bytes]) -> None:
        """Store each image under the hash of its bytes, if it is not there yet."""
        for digest, content in images.items():
            if not self._blobs.exists(asset_key(digest)):
                self._blobs.put(asset_key(digest), content)
        self._stored, self._stored_at = images, monotonic()

    def _fail(self, reason: str, errors: list[str]) -> None:
        """Record a failure, and log it once for each content of the files."""
        self._presets.keep()
        self._metrics.count_failure()
        what = f"{reason} {self._fingerprint} {errors}"
        if what != self._logged:
            self._logged = what
            log.error("presets.load_failed", reason=reason, mistakes=errors[:MAX_LOGGED], count=len(errors))

    async def _wait(self) -> bool:
        """Wait until the next check is due. Return whether a load was asked for."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._due.wait(), CHECK_SECONDS)
        is_asked = self._due.is_set()
        self._due.clear()
        return is_asked


@asynccontextmanager
async def keep_presets(loader: PresetLoader) -> AsyncIterator[None]:
    """Load the presets, and keep them those of their files until the block ends."""
    loading = asyncio.create_task(loader.load())
    await asyncio.wait([loading], timeout=START_SECONDS)
    async with run_in_background(loader.run(loading)), _reload_on_hangup(loader):
        yield


@asynccontextmanager
async def _reload_on_hangup(loader: PresetLoader) -> AsyncIterator[None]:
    """Let SIGHUP reload the presets. Its default action would end the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, loader.reload)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


def stop_on_preset_mistakes(settings: Settings) -> None:
    """End the process with status 1 and a line for each mistake in the files of presets, as for other settings."""
    if not settings.presets:
        return
    try:
        read_files(
            settings.presets,
            limits=settings.preset_limits,
            image_limits=settings.limits,
            destinations=settings.destinations,
        )
    except PresetMistakes as error:
        raise SystemExit("\n".join(f"darkroom: {mistake}" for mistake in error.mistakes)) from None
