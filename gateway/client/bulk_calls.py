"""Calls about bulk actions, as those of `calls`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal
from urllib.parse import quote

from .bulk_models import BulkAccepted, BulkStatus
from .call import Call
from .calls import json_receiver


def bulk(  # noqa: PLR0913  # the conditions of a filter
    action: Literal["retry", "cancel", "delete", "reprocess"],
    *,
    task_ids: Sequence[str] | None = None,
    status: str | Sequence[str] | None = None,
    kind: str | None = None,
    preset: str | None = None,
    preset_version_not: str | None = None,
    outdated: bool = False,
    since: str | None = None,
    until: str | None = None,
    to_preset: str | None = None,
    dry_run: bool = False,
) -> Call[BulkAccepted]:
    """Do with many jobs what `retry`, `delete` and `reprocess` do with one, and return the accepted bulk action.

    The jobs are those of `task_ids`, or those that meet all the conditions from `status` to `until`, of which there
    must be one. `since` and `until` are a time, or how long ago, such as "30d". `outdated` jobs were made by another
    version of their preset than the present one. With `to_preset`, jobs are reprocessed with this preset. A `dry_run`
    changes nothing: it counts the jobs. `bulk_status` shows how far it has come.
    """
    conditions = {
        "status": status if status is None or isinstance(status, str) else list(status),
        "kind": kind,
        "preset": preset,
        "preset_version_not": preset_version_not,
        "outdated": True if outdated else None,
        "since": since,
        "until": until,
    }
    document: dict[str, Any] = {"action": action, "dry_run": dry_run}
    if task_ids is not None:
        document["task_ids"] = list(task_ids)
    if to_preset is not None:
        document["preset"] = to_preset
    given = {name: value for name, value in conditions.items() if value is not None}
    if given or task_ids is None:
        document["filter"] = given
    return Call(method="POST", path="/bulk", document=document, receive=json_receiver(BulkAccepted))


def bulk_status(bulk_id: str) -> Call[BulkStatus]:
    """Return a bulk action: how many jobs it has looked at, and what came of them."""
    return Call(method="GET", path=_path(bulk_id), receive=json_receiver(BulkStatus))


def cancel_bulk(bulk_id: str) -> Call[BulkStatus]:
    """Cancel a bulk action that has not ended, and return it. What is done stays done."""
    return Call(method="DELETE", path=_path(bulk_id), receive=json_receiver(BulkStatus))


def _path(bulk_id: str) -> str:
    return f"/bulk/{quote(bulk_id, safe='')}"
