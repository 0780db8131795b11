"""Real servers for the tests: one pair for contracts, one whole stack for everything that goes through HTTP."""

from __future__ import annotations

import gc
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import httpx
import pytest
from _pytest.runner import runtestprotocol

from deploy.local.stack import Stack
from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.support.rabbitmq_server import RabbitMQServer, run_rabbitmq
from tests.support.redis_servers import create_certificates

SHORT_TIMEOUTS = {
    "DARKROOM_LOG_FORMAT": "json",
    "DARKROOM_WORK__SOFT_TIME_LIMIT": "8",
    "DARKROOM_WORK__TIME_LIMIT": "10",
    "DARKROOM_WORK__RETRY_BASE": "0.2",
    "DARKROOM_WORK__RETRY_CAP": "2",
    "DARKROOM_WORK__MAX_IMAGE_MEMORY_MIB": "512",
    "DARKROOM_BROKER__VISIBILITY_TIMEOUT": "12",
    "DARKROOM_BROKER__RESTORE_INTERVAL": "1",
    "DARKROOM_SWEEPER__INTERVAL": "0.3",
    "DARKROOM_SWEEPER__ACCEPT_PATIENCE": "2",
    "DARKROOM_SWEEPER__PATIENCE": "3",
    "DARKROOM_SWEEPER__BACKOFF": "3",
    "DARKROOM_SWEEPER__REFUSED_GRACE": "1",
    "DARKROOM_RETENTION__REFUSED": "1",
    "DARKROOM_SWEEPER__TIDY_INTERVAL": "1",
    "DARKROOM_HTTP__KEY_LEASE": "3",
    "DARKROOM_BULK__LEASE": "2",
    "DARKROOM_SWEEPER__ORPHAN_GRACE": "12",  # a body may take half of it
}
"""The same mechanisms as in production on a shorter clock; their order (soft < hard < visibility) is kept."""


def pytest_configure() -> None:
    """Let programs that tests start hear of interrupts: in a shell's background they are ignored, and so inherited."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage among tests: they pile up and stay, and looking through them took a third of this."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


SERVER_FIXTURES = ("stack", "frontend_stack", "strict_stack", "rabbitmq", "redis_and_mongo", "s3_server")
"""Fixtures of a session that start servers."""
LONGEST_FIRST = (
    "stack",
    "frontend_stack",
    "tests/integration/test_chaos.py",
    "rabbitmq",
    "s3_server",
    "tests/integration",
    *SERVER_FIXTURES,
    "tests/contract",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests that share servers to one process (`--dist loadgroup`): these start once. Long groups go first."""

    def rank(item: pytest.Item) -> int:
        group = _group(item)
        return next((n for n, name in enumerate(LONGEST_FIRST) if group.startswith(name)), len(LONGEST_FIRST))

    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    items.sort(key=rank)


def _group(item: pytest.Item) -> str:
    names = getattr(item, "fixturenames", ())
    return next((name for name in SERVER_FIXTURES if name in names), item.nodeid.partition("::")[0])


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """End the servers of a group with it: a stack that idles until the last test costs a twentieth of a core."""
    if nextitem is None or _group(item) not in SERVER_FIXTURES or _group(item) == _group(nextitem):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    runtestprotocol(item, nextitem=None)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fail where groups are not heeded, as by an xdist that does not know its pytest: each process would start all."""
    if getattr(session.config.option, "loadgroup", False):
        assert all("@" in item.nodeid for item in session.items), "xdist has not grouped the tests"


@pytest.fixture(scope="session")
def redis_and_mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A Redis and a Mongo of their own, without a gateway or workers."""
    with Stack(tmp_path_factory.mktemp("servers"), gateway=False, workers=False) as stack:
        yield stack


@pytest.fixture(scope="session")
def ca_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an authority, beside which are a certificate and a key for 127.0.0.1."""
    return create_certificates(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory, ca_file: Path) -> Iterator[RabbitMQServer]:
    """A RabbitMQ, which speaks TLS as well."""
    with run_rabbitmq(tmp_path_factory.mktemp("rabbit"), certificates=ca_file.parent) as server:
        yield server


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything, running."""
    with Stack(tmp_path_factory.mktemp("stack"), environment=SHORT_TIMEOUTS) as stack:
        yield stack


@pytest.fixture(scope="session")
def client(stack: Stack) -> Iterator[httpx.Client]:
    """An HTTP client of the running gateway."""
    with httpx.Client(base_url=stack.url, timeout=30, **HTTP_CLIENT_OPTIONS) as client:
        yield client


@pytest.fixture
def blob_folder(stack: Stack) -> Path:
    """Where the running stack keeps its blobs."""
    return stack.blob_folder
