"""The image files that presets name: beside the file of presets, small, and images that Darkroom accepts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from pipeline.presets.definition import RenditionDefinition
from pipeline.presets.source import Snapshot, Unreadable
from pipeline.presets.validation import Found
from stages.errors import StageError
from stages.limits import Limits
from stages.steps.step import Step
from stages.validate import validate

FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")


class AssetFiles:
    """Reads image files of one snapshot, each once."""

    def __init__(self, snapshot: Snapshot, *, max_bytes: int, limits: Limits) -> None:
        self._snapshot = snapshot
        self._max_bytes = max_bytes
        self._limits = limits
        self.contents: dict[str, bytes] = {}
        """The bytes of each image that is right, by its SHA-256 (hex)."""

    def read(self, rendition: RenditionDefinition) -> Iterator[tuple[Found, str, str]]:
        """Yield, for each image that a rendition names, its place there and its mistake, its name, and its SHA-256.

        Of a wrong image, the SHA-256 is empty; the mistake is empty otherwise.
        """
        for place, name in find_images(rendition):
            try:
                digest = self._read_image(name)
            except (Unreadable, StageError) as error:
                yield (place, f"{name}: {error}"), name, ""
            else:
                yield (place, ""), name, digest

    def _read_image(self, name: str) -> str:
        if not FILE_NAME.fullmatch(name):
            raise Unreadable(
                "It should be the name of a file beside the presets: letters, digits, '.', '_' and '-', no folder."
            )
        content = self._snapshot.read_image(name, self._max_bytes)
        digest = sha256(content).hexdigest()
        if digest not in self.contents:
            validate(content, limits=self._limits)
            self.contents[digest] = content
        return digest


def find_images(rendition: RenditionDefinition) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Yield the place in the rendition and the name of each image file that its steps name."""
    steps = rendition.spec().steps
    for index, step in enumerate(steps):
        name = image_of(step)
        if name is not None:
            place = ("steps", index) if index < len(rendition.steps) else ("watermark",)
            yield (*place, "image"), name


def image_of(step: Step) -> str | None:
    """Return the name of the image file that a step needs; None if it needs none."""
    return getattr(step, "image", None)
