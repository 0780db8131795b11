"""Places in a manifest, as JSON pointers (RFC 6901); an item of a list may have its name instead of its number."""

from __future__ import annotations

from typing import Any

from deploy.generate.kustomize import Manifest

POD = {
    "Deployment": "/spec/template/spec",
    "StatefulSet": "/spec/template/spec",
    "CronJob": "/spec/jobTemplate/spec/template/spec",
}
"""Where a kind has its pod."""


def read(manifest: Manifest, pointer: str) -> Any:
    """Return what is there. Raises KeyError or IndexError."""
    place: Any = manifest
    for step in _steps(pointer):
        place = place[_key(place, step)]
    return place


def replace(manifest: Manifest, pointer: str, value: Any) -> None:
    """Put a value there, instead of what there is or as a new key."""
    parent, _, last = pointer.rpartition("/")
    place = read(manifest, parent)
    place[_key(place, *_steps(f"/{last}"))] = value


def remove(manifest: Manifest, pointer: str) -> None:
    """Remove a key, if it is there."""
    parent, _, last = pointer.rpartition("/")
    read(manifest, parent).pop(*_steps(f"/{last}"), None)


def replace_text(value: Any, text: str, token: str) -> Any:
    """Return the value with a text in all of its strings replaced."""
    if isinstance(value, dict):
        return {key: replace_text(each, text, token) for key, each in value.items()}
    if isinstance(value, list):
        return [replace_text(each, text, token) for each in value]
    return value.replace(text, token) if isinstance(value, str) else value


def _steps(pointer: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def _key(place: Any, step: str) -> str | int:
    if not isinstance(place, list):
        return step
    return int(step) if step.isdigit() else [each.get("name") for each in place].index(step)
