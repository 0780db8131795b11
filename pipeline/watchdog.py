"""The watchdog: ends a worker whose shutdown hangs, so that it can be restarted."""

from __future__ import annotations

import os
import threading
from typing import Any

import structlog
from celery import bootsteps

EXIT_GRACE_SECONDS = 10.0

log = structlog.get_logger("worker")


class Watchdog(bootsteps.StartStopStep):
    """Ends the process when its shutdown takes longer than the longest task plus EXIT_GRACE_SECONDS.

    Without it, a worker that stops because of an error inside Celery can wait for its pool forever. It takes no
    message, but it still runs, so nothing restarts it.
    """

    def close(self, parent: Any) -> None:
        """Start the timer when the shutdown begins; its thread ends with the process."""
        conf = parent.app.conf
        seconds = max(conf.task_time_limit, conf.worker_soft_shutdown_timeout) + EXIT_GRACE_SECONDS
        timer = threading.Timer(seconds, exit_process, args=[seconds])
        timer.daemon = True
        timer.start()


def exit_process(seconds: float) -> None:
    """End this process, whatever it waits for. Its children end too, and their messages are delivered again."""
    log.critical("worker.hung", seconds=seconds)
    os._exit(os.EX_SOFTWARE)
