"""A broker in memory to publish to, or one that is away, and a sweeper and a tidier over fakes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from pipeline.settings import RetentionSettings, Settings, SweeperSettings
from pipeline.sweeper import Sweeper
from pipeline.tidying.tidier import Tidier
from storage.blobs import Blobs
from tests.support.fakes import FakeJobs, FakeQueues, FakeStores


@pytest.fixture
def settings() -> Settings:
    return Settings(
        sweeper=SweeperSettings(
            interval=0.001,
            accept_patience=15,
            patience=60,
            backoff=100,
            batch=3,
            max_generation=2,
            tidy_interval=300,
            orphan_grace=900,
            refused_grace=30,
        ),
        retention=RetentionSettings(results=1000, records=2000, refused=500),
    )


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[EventDict]]:
    """What is logged, kept instead of written."""
    with capture_logs() as logs:
        yield logs


@pytest.fixture
def jobs() -> FakeJobs:
    return FakeJobs()


@pytest.fixture
def blobs() -> Blobs:
    return Blobs.open("memory:///")


@pytest.fixture
def queues() -> FakeQueues:
    return FakeQueues()


@pytest.fixture
def stores(jobs: FakeJobs, blobs: Blobs) -> FakeStores:
    return FakeStores(jobs, blobs)


@pytest.fixture
def tidier(stores: FakeStores, settings: Settings) -> Tidier:
    return Tidier(stores, settings)


@pytest.fixture
def sweeper(stores: FakeStores, queues: FakeQueues, settings: Settings) -> Sweeper:
    return Sweeper(stores, queues, settings)
