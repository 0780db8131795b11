"""Sends the due deliveries of one endpoint."""

from __future__ import annotations

from pipeline.worker_child import WorkerChild


def send_due_deliveries(child: WorkerChild, endpoint_id: str) -> None:
    """Send what is due, a few at a time, until nothing is or the time is over; then record when the next one is."""
    raise NotImplementedError
