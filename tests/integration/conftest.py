"""A second stack with every guard up, shared by the tests of those guards, each under an API key of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from hashlib import sha256

import httpx
import pytest

from deploy.local.stack import Stack
from tests.conftest import SHORT_TIMEOUTS
from tests.integration.collector import Collector, run_collector
from tests.integration.front_servers import run_local_front, run_nginx
from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.support.webhook_receiver import Receiver, run_receiver

OWNERS = (
    *("al", "ann", "bob", "eve", "gil", "ida", "jay", "kim", "lee", "max", "ned", "pia", "tia", "tom", "udo", "uma"),
    *("ute", "zoe"),
)
SIGNING_SECRET = "the signing secret of tia, as long as it must be".replace(" ", "-")
HASHES = {owner: sha256(f"key of {owner}".encode()).hexdigest() for owner in OWNERS}
POSTS_A_MINUTE = 30
MAX_UPLOADS_PER_CALLER = 8
MAX_QUEUE = 6
STRICT = SHORT_TIMEOUTS | {
    "DARKROOM_API_KEYS": json.dumps(HASHES),
    "DARKROOM_SIGNING_SECRETS": json.dumps({"tia": SIGNING_SECRET}),
    "DARKROOM_ACCESS__RATE_LIMIT": f"{POSTS_A_MINUTE}/minute",
    "DARKROOM_ACCESS__MAX_QUEUE": str(MAX_QUEUE),
    "DARKROOM_ACCESS__DEDUPLICATE": "true",
    "DARKROOM_RETENTION__RESULTS": "4",
    "DARKROOM_HTTP__HEADER_TIMEOUT": "3",
    "DARKROOM_SWEEPER__ORPHAN_GRACE": "3600",  # uploads are stalled for long
    "DARKROOM_HTTP__MAX_UPLOADS_PER_CALLER": str(MAX_UPLOADS_PER_CALLER),
    "DARKROOM_WORK__MAX_RETRIES": "1",
    "DARKROOM_WORK__RETRY_CAP": "1",
    "DARKROOM_SWEEPER__MAX_GENERATION": "1",
    "DARKROOM_SWEEPER__BACKOFF": "0.3",
    "DARKROOM_SWEEPER__TIDY_INTERVAL": "0.5",
}

AsOwner = Callable[[str], httpx.Client]


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """Where the strict stack sends its traces."""
    with run_collector() as collector:
        yield collector


@pytest.fixture(scope="session")
def strict_stack(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Stack]:
    """Everything, running, with keys, limits, short memories and little patience, and traced."""
    traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
    with Stack(tmp_path_factory.mktemp("strict"), environment=STRICT | traced) as stack:
        yield stack


@pytest.fixture(scope="session")
def as_owner(strict_stack: Stack) -> Iterator[AsOwner]:
    """HTTP clients of the strict stack, by the owner whose key they send."""
    with ExitStack() as clients:

        def create_client(owner: str) -> httpx.Client:
            headers = {"Authorization": f"Bearer key of {owner}"}
            client = httpx.Client(base_url=strict_stack.url, timeout=30, **HTTP_CLIENT_OPTIONS, headers=headers)
            return clients.enter_context(client)

        yield create_client


@pytest.fixture(scope="session")
def keyless_client(strict_stack: Stack) -> Iterator[httpx.Client]:
    """An HTTP client of the strict stack without a key."""
    with httpx.Client(base_url=strict_stack.url, timeout=30, **HTTP_CLIENT_OPTIONS) as client:
        yield client


@pytest.fixture(scope="session")
def direct(strict_stack: Stack) -> str:
    """The strict stack's gateway."""
    return strict_stack.url


@pytest.fixture(scope="session")
def local(strict_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API of the strict stack behind the front of `./run up`."""
    with run_local_front(strict_stack.url, tmp_path_factory.mktemp("front")) as front:
        yield f"{front.url}/api"


@pytest.fixture(scope="session")
def nginx(strict_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API of the strict stack behind nginx."""
    with run_nginx(strict_stack.url, tmp_path_factory.mktemp("nginx")) as front:
        yield f"{front.url}/api"


@pytest.fixture(params=["direct", "local", "nginx"])
def url(request: pytest.FixtureRequest) -> str:
    """The API's address: the gateway's own, the local front's and nginx's."""
    found: str = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An endpoint of webhooks, with nothing in it."""
    with run_receiver() as receiver:
        yield receiver
