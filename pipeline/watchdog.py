"""The watchdog: a worker that has begun to stop and does not end is ended, so that another can be started."""

from __future__ import annotations

import os
import threading
from typing import Any

import structlog
from celery import bootsteps

EXIT_GRACE_SECONDS = 10.0

log = structlog.get_logger("worker")


class Watchdog(bootsteps.StartStopStep):
    """Ends the process when stopping it takes longer than the longest task, and then some.

    Without it, a worker that stops because of an error inside Celery can wait for its pool for ever: it runs, so nobody
    starts it again, and it takes no message.
    """

    def close(self, parent: Any) -> None:
        """Begin to count; the thread ends with the process."""
        conf = parent.app.conf
        seconds = max(conf.task_time_limit, conf.worker_soft_shutdown_timeout) + EXIT_GRACE_SECONDS
        timer = threading.Timer(seconds, exit_process, args=[seconds])
        timer.daemon = True
        timer.start()


def exit_process(seconds: float) -> None:
    """End this process, whatever it waits for; its children end with it, their messages are delivered again."""
    log.critical("worker.hung", seconds=seconds)
    os._exit(os.EX_SOFTWARE)
