"""A message in the hands of a worker's parent, which logs a child that was lost or took too long."""

from __future__ import annotations

from typing import Any

from celery.worker.request import Request

from pipeline import context


class JobContextRequest(Request):
    """Celery's request, whose lines name the job; so does the errback that is sent from here when a child is gone."""

    def on_timeout(self, soft: Any, timeout: Any) -> None:
        """Log a time limit, and for the hard one fail the task in its child's place."""
        with context.message_context(self.request_dict, self.name, self.args):
            super().on_timeout(soft, timeout)

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:  # noqa: FBT002  # Celery's own
        """Log a child that was lost, and hand its message back."""
        with context.message_context(self.request_dict, self.name, self.args):
            return super().on_failure(exc_info, send_failed_event, return_ok)
