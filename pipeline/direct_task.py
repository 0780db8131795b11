"""Celery's app and task, whose messages a worker's child sends to Redis itself.

A message that a task sends to the next one passes through eight hundred functions of Celery, kombu and redis-py. The
messages of our canvases need few of them: they have no expiry, no priority and no delay, and their queues need no
declaration in Redis.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from threading import local
from typing import Any

from celery import Celery, Task
from celery.signals import after_task_publish, before_task_publish

from pipeline.broker.direct_publisher import Batch, DirectPublisher
from pipeline.broker.redis_urls import RedisUrl

PLAIN_OPTIONS = frozenset(
    {
        "add_to_parent",
        "chain",
        "chord",
        "group_id",
        "group_index",
        "parent_id",
        "priority",  # of the task that sends it, which has none
        "queue",
        "reply_to",
        "root_id",
    }
)
"""What a canvas says of a message besides its task and arguments. Messages with other options are left to Celery."""


class _Thread(local):
    """The publisher of a thread."""

    publisher: DirectPublisher | None = None


_thread = _Thread()


@contextmanager
def publish_directly(redis_url: str, **options: Any) -> Iterator[None]:
    """Send the messages of this thread's tasks to Redis directly, in this block.

    `options` are those of redis-py's connections.
    """
    client = RedisUrl(redis_url).open(**options)
    publisher = DirectPublisher(client.connection_pool)
    before, _thread.publisher = _thread.publisher, publisher
    try:
        yield
    finally:
        _thread.publisher = before
        publisher.close()
        client.close()


def is_publishing_directly() -> bool:
    """Whether this thread is in such a block."""
    return _thread.publisher is not None


class DirectApp(Celery):
    """Celery's app; tasks that are sent in one block, such as those of a group, are sent in one packet."""

    events_cls = "pipeline.worker_events:BoundedEvents"

    def producer_or_acquire(self, producer: Any = None) -> Any:
        """Return a block that sends messages; a given producer stays in charge."""
        acquire = super().producer_or_acquire
        publisher = _thread.publisher
        return Batch(publisher, acquire) if publisher and producer is None else acquire(producer)


class DirectTask(Task[Any, Any]):
    """Celery's task."""

    abstract = True
    max_retries = None
    """No limit, unless a retry names one: Celery's own 3 would fail a stage that has attempts left."""
    _get_exec_options: Any  # Celery caches there what each task says of its messages

    def apply_async(  # noqa: PLR0913, PLR0917  # Celery's own
        self,
        args: Any = None,
        kwargs: Any = None,
        task_id: str | None = None,
        producer: Any = None,
        link: Any = None,
        link_error: Any = None,
        shadow: str | None = None,
        **options: Any,
    ) -> Any:
        """Send the task; in a worker's child and with options of a canvas only, in the packet of the block."""
        is_plain = not (kwargs or link or shadow or options.get("priority")) and options.keys() <= PLAIN_OPTIONS
        if not (is_plain and task_id and "queue" in options and _thread.publisher):
            return super().apply_async(args, kwargs, task_id, producer, link, link_error, shadow, **options)
        with nullcontext(producer) if producer else self.app.producer_or_acquire() as batch:
            if not isinstance(batch, Batch):
                return super().apply_async(args, kwargs, task_id, batch, link, link_error, shadow, **options)
            self._add_message(batch, args or (), task_id, link_error, options)
        return self.AsyncResult(task_id)

    def _add_message(
        self, batch: Batch, args: Sequence[Any], task_id: str, errbacks: Any, options: dict[str, Any]
    ) -> None:
        app: Any = self.app
        current = app.current_worker_task
        request = current.request if current else None
        limits = self._get_exec_options()
        message = app.amqp.create_task_message(
            task_id,
            self.name,
            args,
            {},
            group_id=options.get("group_id"),
            group_index=options.get("group_index"),
            chord=options.get("chord"),
            chain=options.get("chain"),
            errbacks=[errbacks] if isinstance(errbacks, dict) else errbacks,
            reply_to=options.get("reply_to") or app.thread_oid,
            root_id=options.get("root_id") or (request and (request.root_id or request.id)),
            parent_id=options.get("parent_id") or (request and request.id),
            time_limit=limits.get("time_limit"),
            soft_time_limit=limits.get("soft_time_limit"),
            ignore_result=self.ignore_result,
            argsrepr=repr(args),
            kwargsrepr="{}",
        )
        queue, headers, properties, body = options["queue"], message.headers, message.properties, message.body
        details = {"sender": self.name, "body": body, "headers": headers, "exchange": "", "routing_key": queue}
        before_task_publish.send(**details, declare=[], properties=properties, retry_policy={})
        batch.add(queue, body=body, headers=headers, properties=properties)
        after_task_publish.send(**details)
