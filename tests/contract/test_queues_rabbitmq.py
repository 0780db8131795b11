"""RabbitMQ as the app uses it: the queues it looks at, what counts as sent, and whom it trusts."""

from __future__ import annotations

import asyncio
import signal
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from amqp.exceptions import AccessRefused
from kombu.exceptions import OperationalError
from prometheus_client import CollectorRegistry
from redis.exceptions import RedisError

from pipeline.broker.transport import BROKER_ERRORS
from pipeline.celery import app
from pipeline.dispatch import dispatch
from pipeline.dispatch_metrics import DispatchMetrics
from pipeline.queues.open_queues import open_queues
from pipeline.queues.queues import Queues
from pipeline.routing import LANE_QUEUES, QUEUES
from pipeline.settings import Settings
from pipeline.worker_settings import BrokerSettings
from storage.clock import now_ms
from tests.integration.api_helpers import wait_until
from tests.support.fakes import UNREACHABLE_URL, FakeBroker, new_job, use_broker
from tests.support.rabbitmq_server import RabbitMQServer

SECONDS = 30
POLL_SECONDS = 0.02
SOON = BrokerSettings(publish_timeout=5, connect_timeout=5)


def settings_of(url: str) -> Settings:
    return Settings(broker_url=url, redis_url=UNREACHABLE_URL, result_url=UNREACHABLE_URL, broker=SOON)


@pytest.fixture
def settings(rabbitmq: RabbitMQServer) -> Iterator[Settings]:
    """Settings that name it, and the app a publisher to it, whose queues are empty, also after the test."""
    settings = settings_of(rabbitmq.url)
    use_broker(settings)
    empty(rabbitmq)
    yield settings
    empty(rabbitmq)
    use_broker(FakeBroker.settings)


@pytest.fixture
async def queues(settings: Settings) -> AsyncIterator[Queues]:
    async with open_queues(settings) as queues:
        yield queues


def send(queue: str) -> None:
    app.send_task("validate", ["job"], queue=queue, retry=False)


def empty(server: RabbitMQServer) -> None:
    """Make every queue, and empty it."""
    with server.connect() as connection:
        channel: Any = connection.default_channel
        for lane in LANE_QUEUES:
            channel.queue_declare(lane, durable=True, auto_delete=False)
            channel.queue_purge(lane)


def take(server: RabbitMQServer, queue: str) -> None:
    """Take a message from a queue, as a worker that has done its work."""
    with server.connect() as connection, connection.SimpleQueue(queue) as waiting:
        waiting.get(timeout=10).ack()


def lose_queues(server: RabbitMQServer) -> None:
    with server.connect() as connection:
        channel: Any = connection.default_channel
        for lane in LANE_QUEUES:
            channel.queue_delete(lane)


async def test_queues_that_nobody_has_made_yet_are_empty(queues: Queues, rabbitmq: RabbitMQServer) -> None:
    lose_queues(rabbitmq)

    waiting = await queues.read_backlog()

    assert waiting.lengths == dict.fromkeys(QUEUES, 0)
    assert waiting.oldest_ms == dict.fromkeys(QUEUES)
    assert await queues.read_oldest_message_ms("validate") is None


async def test_both_lanes_of_a_queue_are_told_as_one(queues: Queues) -> None:
    start = now_ms()
    for lane in ("resize.bulk", "resize", "resize.bulk"):
        send(lane)

    waiting, longest = await queues.read_backlog(), await queues.read_max_queue_length()

    assert (waiting.lengths, longest) == (dict.fromkeys(QUEUES, 0) | {"resize": 3}, 3)
    assert (waiting.oldest_ms["resize"] or now_ms()) <= start
    assert waiting.oldest_ms["validate"] is None


async def test_what_was_there_before_the_first_look_may_be_of_any_age(queues: Queues) -> None:
    send("validate")

    assert await queues.read_oldest_message_ms("validate") == 0


async def test_a_queue_that_is_never_empty_moves_on_as_it_shrinks(queues: Queues, rabbitmq: RabbitMQServer) -> None:
    start = now_ms()
    send("validate")

    async with asyncio.timeout(SECONDS):
        while await queues.read_oldest_message_ms("validate") == 0:
            send("validate")
            await _seen(queues, 2)
            take(rabbitmq, "validate")
            await _seen(queues, 1)

    assert start <= (await queues.read_oldest_message_ms("validate") or 0) <= now_ms()


async def _seen(queues: Queues, length: int) -> None:
    while await queues.read_max_queue_length() != length:  # noqa: ASYNC110  # RabbitMQ knows
        await asyncio.sleep(POLL_SECONDS)


async def test_a_gateway_asks_both_servers_whether_they_are_there(queues: Queues) -> None:
    servers = queues.server_checks()

    await servers["rabbitmq"]()
    with pytest.raises(RedisError):
        await servers["redis"]()


async def test_a_server_that_stops_publishers_is_told_and_its_lengths_too(
    settings: Settings, rabbitmq: RabbitMQServer
) -> None:
    send("validate")
    use_broker(settings.model_copy(update={"broker": BrokerSettings(publish_timeout=1, connect_timeout=5)}))
    async with open_queues(settings.model_copy(update={"broker": BrokerSettings(publish_timeout=1)})) as queues:
        check = queues.server_checks()["rabbitmq"]
        await check()

        with rabbitmq.alarm():
            with pytest.raises((TimeoutError, *BROKER_ERRORS)):
                await check()
            assert await queues.read_max_queue_length() == 1

        async with asyncio.timeout(SECONDS):
            while not await _passes(check):  # noqa: ASYNC110  # RabbitMQ knows
                await asyncio.sleep(POLL_SECONDS)


async def _passes(check: Callable[[], Any]) -> bool:
    with suppress(*BROKER_ERRORS):
        await check()
        return True
    return False


async def test_nothing_is_sent_on_while_chords_cannot_be_counted(queues: Queues) -> None:
    with pytest.raises(RedisError):
        await queues.ping()


async def test_a_server_that_was_away_is_found_again(queues: Queues, rabbitmq: RabbitMQServer) -> None:
    send("validate")
    assert await queues.read_max_queue_length() == 1

    with rabbitmq.outage(signal.SIGKILL):
        with pytest.raises(OperationalError):
            send("validate")
        await _failed_look(queues)
    send("validate")

    async with asyncio.timeout(SECONDS):
        while await _looked(queues) != 2:  # noqa: ASYNC110  # RabbitMQ knows
            await asyncio.sleep(POLL_SECONDS)


@pytest.mark.parametrize(
    "hang_up", [RabbitMQServer.close_connections, RabbitMQServer.cut_connections], ids=["closed", "cut"]
)
async def test_a_connection_that_the_server_has_closed_is_replaced_before_it_is_used(
    settings: Settings, rabbitmq: RabbitMQServer, hang_up: Callable[[RabbitMQServer], None]
) -> None:
    send("validate")

    hang_up(rabbitmq)
    send("validate")

    assert rabbitmq.count_messages("validate") == 2
    assert settings.broker_url


async def _failed_look(queues: Queues) -> None:
    """Ask until a look fails: what one has found is good for a moment."""
    async with asyncio.timeout(SECONDS):
        while await _looked(queues) is not None:  # noqa: ASYNC110  # RabbitMQ knows
            await asyncio.sleep(POLL_SECONDS)


async def _looked(queues: Queues) -> int | None:
    with suppress(*BROKER_ERRORS):
        return await queues.read_max_queue_length()
    return None


async def test_a_message_that_nobody_confirms_is_not_sent(queues: Queues, rabbitmq: RabbitMQServer) -> None:
    send("validate")
    with rabbitmq.freeze():
        with pytest.raises(OperationalError, match="did not confirm"):
            send("validate")
        await _failed_look(queues)
    send("resize")

    wait_until(lambda: rabbitmq.count_messages("resize") == 1, "the next message")


async def test_a_message_whose_queue_was_lost_is_not_sent_and_the_next_one_is(
    queues: Queues, rabbitmq: RabbitMQServer
) -> None:
    send("validate")
    lose_queues(rabbitmq)

    with pytest.raises(OperationalError, match="NO_ROUTE"):
        send("validate")
    send("validate")

    assert rabbitmq.count_messages("validate") == 1
    assert await queues.read_max_queue_length() == 1


async def test_one_who_is_refused_is_told_so_and_the_job_is_left_to_the_sweeper(rabbitmq: RabbitMQServer) -> None:
    settings = settings_of(rabbitmq.url.replace(rabbitmq.password, "hunter2"))
    use_broker(settings)
    try:
        async with open_queues(settings) as queues:
            with pytest.raises(AccessRefused) as told:
                await queues.read_max_queue_length()
        assert not await dispatch(new_job(), DispatchMetrics(CollectorRegistry()))
    finally:
        use_broker(FakeBroker.settings)

    assert "hunter2" not in str(told.value)


def test_over_tls_an_authority_that_is_known_vouches_for_it(rabbitmq: RabbitMQServer, ca_file: Path) -> None:
    assert _connects(f"{rabbitmq.tls_url}?ssl_ca_certs={ca_file}")


def test_a_certificate_that_nobody_vouches_for_is_refused(rabbitmq: RabbitMQServer) -> None:
    with pytest.raises((ssl.SSLCertVerificationError, OperationalError), match="CERTIFICATE_VERIFY_FAILED"):
        _connects(rabbitmq.tls_url)


def test_a_certificate_for_another_name_is_refused(rabbitmq: RabbitMQServer, ca_file: Path) -> None:
    url = rabbitmq.tls_url.replace("127.0.0.1", "localhost")

    with pytest.raises((ssl.SSLCertVerificationError, OperationalError), match="CERTIFICATE_VERIFY_FAILED"):
        _connects(f"{url}?ssl_ca_certs={ca_file}")


def test_no_certificate_is_checked_where_the_address_says_so(rabbitmq: RabbitMQServer) -> None:
    assert _connects(f"{rabbitmq.tls_url}?ssl_cert_reqs=none")


def _connects(url: str) -> bool:
    assert urlsplit(url).scheme == "amqps"
    use_broker(settings_of(url))
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=0)
            return bool(connection.connected)
    finally:
        use_broker(FakeBroker.settings)
