"""Celery's request in a worker's parent: it logs with the job's ids, and counts the delay of a retry from here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from celery.worker.request import Request

from pipeline import context
from pipeline.celery import DELAY_HEADER


class JobContextRequest(Request):
    """Celery's request with the job's ids in its log lines, and in the errback it sends when a child is lost."""

    _eta: datetime | None

    def __init__(self, *args: Any, **options: Any) -> None:
        """Take a message; its delay begins now, whatever the clock of its sender says."""
        super().__init__(*args, **options)
        delay_ms = self.request_dict.get(DELAY_HEADER)
        if delay_ms is not None and self._eta is not None:
            self._eta = datetime.now(UTC) + timedelta(milliseconds=delay_ms)

    def on_timeout(self, soft: Any, timeout: Any) -> None:
        """Log a time limit; at the hard one, fail the task on behalf of its child."""
        with context.message_context(self.request_dict, self.name, self.args):
            super().on_timeout(soft, timeout)

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:  # noqa: FBT002  # Celery's own
        """Log a failure, such as a lost child, and return its message to the queue where Celery does."""
        with context.message_context(self.request_dict, self.name, self.args):
            return super().on_failure(exc_info, send_failed_event, return_ok)
