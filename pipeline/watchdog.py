"""The watchdog: ends a worker that hangs, at work or in its shutdown, so that it can be restarted."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from typing import Any

import structlog
from celery import bootsteps
from celery.bootsteps import RUN  # type: ignore[attr-defined]
from celery.worker import state

EXIT_GRACE_SECONDS = 10.0
LOOK_SECONDS = 2.0

log = structlog.get_logger("worker")


class Watchdog(bootsteps.StartStopStep):
    """Ends the process when it stalls, or when its shutdown hangs, for the time limit plus EXIT_GRACE_SECONDS.

    A worker stalls when it holds as many messages as it may, and none of its children works on one. Nothing ends that:
    time limits begin when a child takes a message. It happens when a child is frozen, or when Celery loses track of a
    message. A worker that stops because of an error inside Celery can wait for its pool forever. Both still run, so
    nothing restarts them.
    """

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._is_closing = threading.Event()

    def start(self, parent: Any) -> None:
        """Start to watch, in a thread that ends with the process: the event loop may be what hangs."""
        seconds = parent.app.conf.task_time_limit + EXIT_GRACE_SECONDS
        threading.Thread(target=self._watch, args=[parent, seconds], name="watchdog", daemon=True).start()

    def close(self, parent: Any) -> None:
        """Start the timer when the shutdown begins; its thread ends with the process."""
        self._is_closing.set()
        conf = parent.app.conf
        seconds = max(conf.task_time_limit, conf.worker_soft_shutdown_timeout) + EXIT_GRACE_SECONDS
        timer = threading.Timer(seconds, exit_process, args=["worker.hung"], kwargs={"seconds": seconds})
        timer.daemon = True
        timer.start()

    def _watch(self, parent: Any, seconds: float) -> None:
        stalled_looks = 0  # not times: while the process is frozen, nothing could have gone on
        while not self._is_closing.wait(LOOK_SECONDS):
            stalled_looks = stalled_looks + 1 if is_stalled(parent.consumer) else 0
            if stalled_looks * LOOK_SECONDS >= seconds:
                details = describe_stall(parent)
                for child in _children(parent):
                    with suppress(ProcessLookupError):
                        os.kill(child, signal.SIGKILL)  # a frozen one would not notice the end of its parent
                exit_process("worker.stalled", seconds=seconds, **details)


def is_stalled(consumer: Any) -> bool:
    """Whether a connected consumer may take no more messages, although no child works on one. RabbitMQ: never."""
    if consumer is None or consumer.blueprint.state != RUN or not consumer.connection or not consumer.task_consumer:
        return False
    qos = getattr(consumer.task_consumer.channel, "qos", None)  # kombu's own, which other brokers do without
    return qos is not None and not qos.can_consume() and not state.active_requests


def describe_stall(parent: Any) -> dict[str, Any]:
    """Return where the messages are, for the log: held by the channel, known to Celery, or on their way to a child."""
    qos, pool = parent.consumer.task_consumer.channel.qos, getattr(parent.pool, "_pool", None)
    return {
        "held": [str(message.headers.get("id")) for message in list(qos._delivered.values())],  # noqa: SLF001
        "acknowledged": len(qos._dirty),  # noqa: SLF001
        "known": list(state.requests),
        "unsent": len(getattr(pool, "outbound_buffer", ())),
        "sent": [job.correlation_id for job in list(getattr(pool, "_cache", {}).values())],
        "busy": len(getattr(pool, "_busy_workers", ())),
        "children": _children(parent),
    }


def exit_process(event: str, **details: object) -> None:
    """End this process, whatever it waits for. Its children end too, and their messages are delivered again."""
    log.critical(event, **details)
    os._exit(os.EX_SOFTWARE)


def _children(parent: Any) -> list[int]:
    return [process.pid for process in list(getattr(getattr(parent.pool, "_pool", None), "_pool", ()))]
