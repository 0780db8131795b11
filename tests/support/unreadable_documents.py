"""Job documents that this version cannot read: as a newer version stores them, or as a hand restores them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Document = dict[str, Any]


def _set(path: str, value: object) -> Callable[[Document], None]:
    *folders, name = path.split(".")

    def change(document: Document) -> None:
        for folder in folders:
            document = document[folder]
        document[name] = value

    return change


def _remove(path: str) -> Callable[[Document], None]:
    *folders, name = path.split(".")

    def change(document: Document) -> None:
        for folder in folders:
            document = document[folder]
        del document[name]

    return change


FROM_A_NEWER_VERSION: dict[str, Callable[[Document], None]] = {
    "a new kind": _set("kind", "watermark"),
    "a new lane": _set("lane", "overnight"),
    "a new state of a stage": _set("stages.finalize.state", "paused"),
    "a new stage": _set("stages.sharpen", {"state": "pending", "attempts": 0, "lease_ms": 0}),
    "a new format": _set("operation.format", "jxl"),
    "a new part of a rendition": _set("operation.renditions.small", {"edge": 160, "depth": 10}),
    "a new step": _set("operation.renditions.small", {"edge": 160, "steps": [{"engrave": 3}]}),
    "a stage less": _remove("stages.finalize"),
}
BY_HAND: dict[str, Callable[[Document], None]] = {
    "no original": _remove("original"),
    "no stages": _set("stages", {}),
    "a list of stages": _set("stages", []),
    "stages that are texts": _set("stages", {"validate": "pending"}),
    "a version that is a text": _set("version", "3"),
    "attempts that are a text": _set("stages.validate.attempts", "0"),
    "no key of the bytes": _remove("original.blob"),
    "a time that is none": _set("created_at", "yesterday"),
    "a time beyond all times": _set("stages.validate.queued_ms", 10**18),
    "a time before all times": _set("updated_ms", -(10**18)),
    "an edge below all edges": _set("operation.renditions.small", -1),
    "a width that is a text": _set("stages.validate.result", {"width": "wide", "height": 64}),
    "a rendition without a size": _set("stages.small.result", {"blob": "a/small.1", "bytes": 5}),
    "a blob that is a list": _set("stages.normalize.result", {"blob": ["a"]}),
    "previous results without stages": _set("previous", {"operation": {"renditions": {"small": 160}}, "stages": {}}),
}
UNREADABLE = FROM_A_NEWER_VERSION | BY_HAND
