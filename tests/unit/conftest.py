"""Brokers that all unit tests may publish to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.fakes import UNREACHABLE_URL, FakeBroker, use_broker


@pytest.fixture
def broker() -> FakeBroker:
    """Publish to a broker in memory."""
    return FakeBroker()


@pytest.fixture
def no_broker(broker: FakeBroker) -> Iterator[None]:  # noqa: ARG001  # which this one replaces
    """Publish to a port where nothing listens."""
    use_broker(FakeBroker.settings.model_copy(update={"redis_url": UNREACHABLE_URL}))
    yield
    use_broker(FakeBroker.settings)
