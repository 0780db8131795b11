"""What RabbitMQ answers: its version, and whether we may declare, write and read queues."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from amqp.exceptions import AccessRefused, AMQPError, NotAllowed

from deploy.admin.findings import Finding, error, ok
from pipeline.celery import configure
from pipeline.settings import Settings

SUBJECT = "rabbitmq"


def check_rabbit(settings: Settings) -> Iterator[Finding]:
    """Yield what the server answers; nothing where Redis carries the messages."""
    if not settings.broker_url:
        return
    host = urlsplit(settings.broker_url).netloc.rpartition("@")[2]
    try:
        with configure(settings, publisher=True).connection_for_write() as connection:
            connection.connect()
            version = connection.connection.server_properties.get("version", "of an unknown version")
            yield ok(SUBJECT, f"RabbitMQ {version} answers")
            _probe(connection.default_channel)
            yield ok(SUBJECT, "the user may declare, write and read queues")
    except AccessRefused as refused:
        yield error(
            SUBJECT, f"it refuses: {refused.reply_text}", "Correct DARKROOM_BROKER_URL, or the user's rights: .*"
        )
    except NotAllowed as refused:
        yield error(
            SUBJECT, f"it refuses: {refused.reply_text}", "Create the virtual host, and give the user rights to it."
        )
    except (AMQPError, OSError) as failure:
        yield error(SUBJECT, f"{host} does not answer: {failure}", "Start it, or correct DARKROOM_BROKER_URL.")


def _probe(channel: Any) -> None:
    """Do once what our programs do, with a queue of our own that ends with the connection."""
    queue = f"darkroom-check-{uuid4().hex}"
    channel.queue_declare(queue=queue, exclusive=True, auto_delete=True)
    channel.basic_publish(
        channel.prepare_message(b"1", content_encoding="binary", content_type="application/octet-stream"),
        exchange="",
        routing_key=queue,
    )
    channel.basic_get(queue=queue, no_ack=True)
    channel.queue_delete(queue=queue)
