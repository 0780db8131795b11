"""Addresses of RabbitMQ, and what Celery is told of them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any

import pytest
from kombu import Connection

from pipeline.broker.rabbit_urls import RabbitUrl
from pipeline.celery import app, configure
from pipeline.settings import Settings
from pipeline.worker_settings import BrokerSettings
from tests.support.fakes import FakeBroker

URL = "amqp://ada:p%2Fss@rabbit.example:7001/photos"
TLS = "amqps://ada:p%2Fss@rabbit.example/photos?ssl_ca_certs=/etc/ca.pem"
BROKER = BrokerSettings(connect_timeout=3, publish_timeout=5, socket_timeout=7, health_check_interval=11)


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Leave the app as it was."""
    yield
    configure(FakeBroker.settings)


def conf(url: str, *, publisher: bool = False) -> Any:
    """Return the configuration of a process whose messages go there."""
    return configure(Settings(broker_url=url, broker=BROKER), publisher=publisher).conf


@pytest.mark.parametrize(
    ("url", "tls"),
    [
        (URL, {}),
        ("amqps://a:b@rabbit.example", {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": "rabbit.example"}),
        ("amqps://a:b@rabbit.example?ssl_cert_reqs=CERT_NONE", {"cert_reqs": ssl.CERT_NONE}),
        (
            f"{TLS}&ssl_certfile=/etc/me.pem&ssl_keyfile=/etc/me.key",
            {
                "cert_reqs": ssl.CERT_REQUIRED,
                "server_hostname": "rabbit.example",
                "ca_certs": "/etc/ca.pem",
                "certfile": "/etc/me.pem",
                "keyfile": "/etc/me.key",
            },
        ),
    ],
)
def test_certificate_and_name_are_checked_unless_the_address_says_otherwise(url: str, tls: dict[str, Any]) -> None:
    assert RabbitUrl(url).tls == tls


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis://ada:hunter2@rabbit.example", "begin with amqp://"),
        ("ada:hunter2@rabbit.example", "begin with amqp://"),
        ("amqp://ada:hun/ter2@rabbit.example", "%2F"),
        ("amqp://ada:hun#ter2@rabbit.example", "%23"),
        ("amqp://ada:hunter2@rabbit.example:many/", "cannot be read"),
        ("amqp://ada:hunter2@", "cannot be read"),
        ("amqp://rabbit.example", "user and password"),
        ("amqp://ada@rabbit.example", "user and password"),
        ("amqp://ada:hunter2@rabbit.example?heartbeat=1", "heartbeat"),
        ("amqp://ada:hunter2@rabbit.example?ssl_ca_certs=/etc/ca.pem", "unknown parameters for amqp: ssl_ca_certs"),
        ("amqps://ada:hunter2@rabbit.example?ssl_cert_reqs=maybe", "ssl_cert_reqs"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_its_password(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as told:
        Settings(broker_url=url)

    assert "broker_url" in str(told.value)
    assert "hunter2" not in str(told.value)
    assert "hun" not in str(told.value)


def test_a_password_is_not_shown() -> None:
    settings = Settings(broker_url="amqp://ada:hunter2@rabbit.example")

    assert "hunter2" not in repr(settings)
    assert "hunter2" not in repr(RabbitUrl(settings.broker_url))


def test_messages_go_over_redis_unless_it_is_set() -> None:
    assert Settings().broker_url == ""


@pytest.mark.usefixtures("forgotten")
def test_kombu_finds_the_server_and_its_virtual_host() -> None:
    with Connection(conf(URL).broker_url) as broker:
        found = broker.info()

    assert {name: found[name] for name in ("transport", "hostname", "port", "userid", "password", "virtual_host")} == {
        "transport": "amqp",
        "hostname": "rabbit.example",
        "port": 7001,
        "userid": "ada",
        "password": "p/ss",
        "virtual_host": "photos",
    }


@pytest.mark.usefixtures("forgotten")
def test_a_message_counts_as_sent_once_it_is_confirmed() -> None:
    assert conf(URL).broker_transport_options["confirm_publish"] is True


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize(("publisher", "seconds"), [(True, 5), (False, 7)])
def test_nobody_waits_longer_than_the_settings_say(publisher: bool, seconds: float) -> None:
    told = conf(URL, publisher=publisher)

    assert told.broker_connection_timeout == 3
    assert {told.broker_transport_options[name] for name in ("read_timeout", "write_timeout")} == {seconds}
    assert told.broker_heartbeat == 11


@pytest.mark.usefixtures("forgotten")
def test_the_options_of_redis_are_not_told_to_rabbitmq() -> None:
    assert "visibility_timeout" not in conf(URL).broker_transport_options


@pytest.mark.usefixtures("forgotten")
def test_the_certificate_is_checked_on_every_connection() -> None:
    told = conf(TLS)

    assert "?" not in told.broker_url
    with app.connection_for_write() as broker:
        assert broker.ssl == RabbitUrl(TLS).tls


@pytest.mark.usefixtures("forgotten")
def test_queues_and_messages_outlive_a_restart_of_the_server() -> None:
    conf(URL)

    assert {queue.durable for queue in app.amqp.queues.values()} == {True}
    assert {queue.exchange.delivery_mode for queue in app.amqp.queues.values()} <= {None, 2}
    assert app.conf.task_default_delivery_mode == 2


@pytest.mark.usefixtures("forgotten")
def test_chords_are_still_counted_in_redis() -> None:
    assert conf(URL).result_backend == "pipeline.backend:PipelineBackend+redis://127.0.0.1:6379/1"
