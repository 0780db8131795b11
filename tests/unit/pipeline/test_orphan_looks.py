"""Which folders the tidier reads when it looks for orphans: not the same ones again and again."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic_ns

import pytest
from obstore.store import MemoryStore

from pipeline.settings import Settings
from pipeline.tidying import orphans
from pipeline.tidying.orphans import FULL_LOOK_MS, created_ms
from pipeline.tidying.tidier import Tidier
from storage.blobs import Blobs
from storage.clock import ServerClock, now_ms
from storage.documents import blob_key
from storage.tidying import TidyProgress
from tests.support.fakes import FakeJobs, FakeStores, new_job_id

MINUTE = 60_000
GRACE_MS = 15 * MINUTE


class PagedBlobs(Blobs):
    """Blobs that note after which folder each listing begins, and have small pages."""

    def __init__(self) -> None:
        super().__init__(MemoryStore())
        self.listings: list[str] = []
        self.pages_read = 0

    def read_folder_pages(self, *, after: str = "") -> Iterator[list[str]]:
        self.listings.append(after)
        for page in super().read_folder_pages(after=after):
            for folder in page:
                self.pages_read += 1
                yield [folder]

    def interrupt_upload(self, *, minutes_ago: int) -> str:
        folder = new_job_id(at_ms=now_ms() - minutes_ago * MINUTE)
        self.put(blob_key(folder, "original"), b"cut off")
        return folder


@pytest.fixture
def blobs() -> PagedBlobs:
    return PagedBlobs()


async def tidy_up(tidier: Tidier) -> None:
    while await tidier.tidy():
        pass


async def looked(stores: FakeStores, *, minutes_ago: int, full_minutes_ago: int) -> None:
    """Record that a tidier which is gone looked at folders until then."""
    await stores.tidying.acquire("gone", lease_ms=-1)
    now = now_ms()
    until_ms, full_ms = now - GRACE_MS - minutes_ago * MINUTE, now - full_minutes_ago * MINUTE
    await stores.tidying.record("gone", TidyProgress(orphans_until_ms=until_ms, full_look_ms=full_ms))


async def test_a_round_reads_one_page(tidier: Tidier, blobs: PagedBlobs) -> None:
    for _ in range(3):
        blobs.interrupt_upload(minutes_ago=16)

    assert await tidier.tidy()

    assert (blobs.pages_read, len(blobs.list_folders())) == (1, 2)
    await tidy_up(tidier)
    assert blobs.list_folders() == []


async def test_the_first_look_is_at_all_folders_and_the_next_one_is_not_soon(tidier: Tidier, blobs: PagedBlobs) -> None:
    await tidy_up(tidier)
    await tidy_up(tidier)

    assert blobs.listings == [""]


async def test_a_look_begins_where_the_last_one_ended(
    stores: FakeStores, settings: Settings, blobs: PagedBlobs
) -> None:
    old, young = blobs.interrupt_upload(minutes_ago=30), blobs.interrupt_upload(minutes_ago=17)
    await looked(stores, minutes_ago=5, full_minutes_ago=60)

    await tidy_up(Tidier(stores, settings))

    assert len(blobs.listings) == 1
    assert old < blobs.listings[0] < young
    assert blobs.list_folders() == [old]


async def test_all_folders_are_looked_at_once_a_day(stores: FakeStores, settings: Settings, blobs: PagedBlobs) -> None:
    blobs.interrupt_upload(minutes_ago=30)
    await looked(stores, minutes_ago=5, full_minutes_ago=FULL_LOOK_MS // MINUTE + 1)

    await tidy_up(Tidier(stores, settings))

    assert blobs.listings == [""]
    assert blobs.list_folders() == []


async def test_a_new_tidier_waits_for_its_turn_to_look(
    stores: FakeStores, settings: Settings, blobs: PagedBlobs
) -> None:
    await looked(stores, minutes_ago=3, full_minutes_ago=FULL_LOOK_MS // MINUTE + 1)

    await tidy_up(Tidier(stores, settings))

    assert blobs.listings == []


async def test_a_look_that_fails_is_begun_again(jobs: FakeJobs, settings: Settings) -> None:
    class FailingBlobs(PagedBlobs):
        def read_folder_pages(self, *, after: str = "") -> Iterator[list[str]]:
            yield from super().read_folder_pages(after=after)
            if len(self.listings) == 1:
                raise ConnectionResetError

    blobs = FailingBlobs()
    tidier = Tidier(FakeStores(jobs, blobs), settings)

    await tidy_up(tidier)
    await tidy_up(tidier)

    assert blobs.listings == ["", ""]


def test_the_time_of_a_folder_is_that_of_its_id() -> None:
    assert created_ms(new_job_id(at_ms=1234)) == 1234


async def test_no_upload_under_way_looks_old_because_the_clock_was_set(
    tidier: Tidier, blobs: PagedBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ServerClock()
    for server_ns in (0, 7200 * 10**9):
        clock.record(server_ns, resolution_ns=1, sent_ns=monotonic_ns())
    monkeypatch.setattr(orphans, "DATABASE_CLOCK", clock)
    folder = blobs.interrupt_upload(minutes_ago=120)

    await tidy_up(tidier)

    assert blobs.list_folders() == [folder]
