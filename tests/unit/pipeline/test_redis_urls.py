"""Addresses of Redis: one server, TLS, sentinels; what the clients and Celery are told of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kombu import Connection
from kombu.transport.redis import SentinelChannel, SentinelTransport

from gateway.middleware.rate_limit import create_limiter
from pipeline.backend import PipelineBackend, SentinelPipelineBackend
from pipeline.broker import transport
from pipeline.broker.redis_urls import RedisUrl
from pipeline.celery import app, configure
from pipeline.settings import Settings
from tests.support.fakes import FakeBroker

TLS = "rediss://ada:p%40ss@redis.example:7001/3?ssl_ca_certs=/etc/ca.pem"
SENTINELS = "sentinel://ada:p%40ss@one.example,two.example:7002,[::1]:7003/4?master_name=photos"


@pytest.fixture
def sentinel_conf() -> Iterator[Any]:
    """The configuration of a gateway whose Redis is behind sentinels."""
    yield configure(Settings(redis_url=SENTINELS), publisher=True).conf
    configure(FakeBroker.settings)


@pytest.fixture
def tls_conf() -> Iterator[Any]:
    """The configuration of a worker whose Redis is behind TLS."""
    yield configure(Settings(redis_url=TLS)).conf
    configure(FakeBroker.settings)


def _backend() -> Any:
    """Return a new result backend of the app, as it is configured now."""
    celery: Any = app
    return celery._get_backend()


@pytest.mark.parametrize(
    ("url", "tls"),
    [
        ("redis://redis.example", {}),
        ("rediss://redis.example", {"ssl_cert_reqs": "required"}),
        ("rediss://redis.example?ssl_cert_reqs=CERT_NONE", {"ssl_cert_reqs": "none"}),
        (TLS, {"ssl_cert_reqs": "required", "ssl_ca_certs": "/etc/ca.pem"}),
        (
            "rediss://redis.example?ssl_check_hostname=False",
            {"ssl_cert_reqs": "required", "ssl_check_hostname": False},
        ),
        (SENTINELS, {}),
        (f"{SENTINELS}&ssl_ca_certs=/etc/ca.pem", {"ssl_cert_reqs": "required", "ssl_ca_certs": "/etc/ca.pem"}),
    ],
)
def test_a_certificate_is_checked_unless_the_address_says_otherwise(url: str, tls: dict[str, Any]) -> None:
    assert RedisUrl(url).tls == tls


@pytest.mark.parametrize(
    "url",
    [
        "amqp://ada:hunter2@rabbit.example//",
        "unix:///run/redis.sock",
        "sentinel://ada:hunter2@",
        "sentinel://one.example,/0",
        "sentinel://one.example/photos",
        "rediss://redis.example?ssl_cert_reqs=maybe",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(
        ValueError, match=r"must begin with|hosts of the sentinels|by number|ssl_cert_reqs must"
    ) as told:
        Settings(redis_url=url)

    assert "hunter2" not in str(told.value)


def test_sentinels_are_named_by_host_and_port() -> None:
    assert RedisUrl(SENTINELS).sentinels == [("one.example", 26379), ("two.example", 7002), ("::1", 7003)]


def test_chords_are_counted_behind_the_same_sentinels() -> None:
    assert Settings(redis_url=SENTINELS).result_backend_url == SENTINELS.replace("/4?", "/5?")


def test_celery_is_told_of_every_sentinel_and_of_their_master(sentinel_conf: Any) -> None:
    patience = {"socket_timeout": 2.0, "socket_connect_timeout": 2.0}

    with Connection(sentinel_conf.broker_url) as broker:
        nodes = [(each.hostname, each.port) for each in map(Connection, broker.alt)]

    assert nodes == RedisUrl(SENTINELS).sentinels
    for options in (sentinel_conf.broker_transport_options, sentinel_conf.result_backend_transport_options):
        assert options["master_name"] == "photos"
        assert options["sentinel_kwargs"] == patience


def test_chords_are_counted_on_the_master(sentinel_conf: Any) -> None:  # noqa: ARG001  # it configures the app
    backend = _backend()

    assert backend.__class__.__name__ == SentinelPipelineBackend.__name__
    assert [(each["host"], each["port"]) for each in backend.connparams["hosts"]] == RedisUrl(SENTINELS).sentinels
    assert {name: backend.connparams[name] for name in ("db", "username", "password")} == {
        "db": 5,
        "username": "ada",
        "password": "p@ss",
    }
    assert set(transport.UNWRITABLE) <= set(backend.connection_errors)


def test_the_transport_for_sentinels_is_changed_as_the_other_is() -> None:
    channel: Any = SentinelChannel

    assert channel._create_client is transport._reuse_client
    assert set(transport.UNWRITABLE) <= set(SentinelTransport.connection_errors)


def test_celery_checks_the_certificate_on_both_of_its_connections(tls_conf: Any) -> None:
    backend = _backend()

    assert backend.__class__.__name__ == PipelineBackend.__name__
    assert tls_conf.broker_url == "rediss://ada:p%40ss@redis.example:7001/3"
    assert tls_conf.broker_use_ssl == RedisUrl(TLS).tls
    assert backend.connparams["ssl_cert_reqs"].name == "CERT_REQUIRED"
    assert (backend.connparams["ssl_ca_certs"], backend.connparams["db"]) == ("/etc/ca.pem", 4)


def test_clients_get_the_servers_credentials_and_sentinels_their_own() -> None:
    url = f"{SENTINELS}&sentinel_username=eve&sentinel_password=s%23cret&ssl_ca_certs=/etc/ca.pem"

    pool: Any = RedisUrl(url).open(socket_timeout=3).connection_pool
    asked = pool.sentinel_manager.sentinels[0].connection_pool.connection_kwargs

    assert (pool.connection_kwargs["username"], pool.connection_kwargs["password"]) == ("ada", "p@ss")
    assert (pool.connection_kwargs["db"], pool.connection_kwargs["ssl_ca_certs"]) == (4, "/etc/ca.pem")
    assert (asked["username"], asked["password"], asked["socket_timeout"]) == ("eve", "s#cret", 3)
    assert asked["ssl_ca_certs"] == "/etc/ca.pem"


def test_the_rate_limit_counts_on_the_master() -> None:
    bridge: Any = create_limiter(SENTINELS).storage.bridge  # type: ignore[attr-defined]

    assert bridge.storage.connection_pool.service_name == "photos"
