"""A preset that is ready to use, and what a job stores of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import Any

from pipeline.presets.canonical import canonical_form, stored_form
from pipeline.presets.definition import PresetDefinition, RenditionDefinition
from stages.rendition_spec import RenditionSpec
from storage.documents import DestinationReference, Operation, PresetReference, list_assets

DEFAULT = "default"
"""The preset of an upload that names none."""
LOWEST_DPR = "lowest_dpr"
"""Parameter of an image on demand: the lowest density of its rendition, which its file may not have."""
CACHED_RENDITIONS = 256
"""How many definitions a process keeps by what jobs store of them: each stage run of a job needs them again."""
DEFAULT_FIELDS = ("format", "quality", "background", "animated")


@dataclass(frozen=True)
class Preset:
    """A named set of renditions, with the digests of the image files that it names."""

    name: str
    definition: PresetDefinition
    assets: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 (hex) of each image file that the definition names, by its name."""

    @cached_property  # each upload asks for it
    def version(self) -> str:
        """The hash (hex) of the canonical form: a comment, or the order of names, makes no new version."""
        content = json.dumps(
            {"definition": canonical_form(self.definition), "assets": dict(self.assets)}, sort_keys=True
        )
        return sha256(content.encode()).hexdigest()[:16]

    @property
    def reference(self) -> PresetReference:
        """The name and the version, as a job stores them."""
        return PresetReference(name=self.name, version=self.version)

    def resolve(self, overrides: Mapping[str, Any]) -> Operation:
        """Return what a job stores: each rendition with everything that it is made of, and with these overrides.

        `overrides` has fields of the form that are in `definition.fields`. A rendition that is only an edge is stored
        as a number, with the overrides beside it: versions from before there were presets read it.
        """
        renditions = {
            name: self._edges.get(name) or self._resolve_rendition(rendition, overrides)
            for name, rendition in self.definition.renditions.items()
        }
        return Operation(
            renditions=renditions,
            preset=self.reference,
            assets=list_assets(self.assets),
            destination=self._destination,
            **overrides,
        )

    @cached_property  # each upload asks for them
    def _edges(self) -> dict[str, int]:
        """The renditions that are only an edge."""
        return {
            name: rendition.edge
            for name, rendition in self.definition.renditions.items()
            if rendition.edge is not None and self._background(rendition) is None and rendition.is_only_edge
        }

    def _background(self, rendition: RenditionDefinition) -> str | None:
        return rendition.background or self.definition.background

    @property
    def _destination(self) -> DestinationReference | None:
        destination = self.definition.destination
        return None if destination is None else DestinationReference(**destination.model_dump())

    def _resolve_rendition(self, rendition: RenditionDefinition, overrides: Mapping[str, Any]) -> dict[str, Any]:
        changes: dict[str, Any] = {"background": overrides.get("background") or self._background(rendition)}
        if "format" in overrides:
            changes["formats"] = (_still_format(overrides["format"]),)
        if "quality" in overrides:
            changes["quality"] = dict.fromkeys(("jpeg", "webp", "avif"), overrides["quality"])
        return stored_form(rendition.model_copy(update=changes))


def default_preset(edges: Mapping[str, int]) -> Preset:
    """Return the preset of the setting `renditions`: an edge for each, and an upload may override the rest."""
    renditions = {name: RenditionDefinition(edge=edge) for name, edge in edges.items()}
    return Preset(DEFAULT, PresetDefinition(fields=DEFAULT_FIELDS, renditions=renditions))


def read_definition(operation: Operation, rendition: str) -> RenditionDefinition:
    """Return the definition of a rendition that a job stores. Raises pydantic's ValidationError for another version's.

    Of a rendition that is stored as an edge, the format, quality and background are those of the operation.
    """
    definition, _ = _read(operation, rendition)
    return definition


def read_spec(operation: Operation, rendition: str) -> RenditionSpec:
    """Return what the stages take of a rendition that a job stores. Raises as `read_definition`."""
    _, spec = _read(operation, rendition)
    lowest_dpr = operation.parameters.get(LOWEST_DPR)
    return spec if lowest_dpr is None else replace(spec, lowest_dpr=lowest_dpr)


_ReadRendition = tuple[RenditionDefinition, RenditionSpec]


def _read(operation: Operation, rendition: str) -> _ReadRendition:
    stored = operation.renditions[rendition]
    if isinstance(stored, int):
        return _read_edge(stored, operation.format, operation.quality, operation.background)
    try:
        text = json.dumps(stored)
    except TypeError:  # no job of this version: JSON holds all that it stores
        definition = RenditionDefinition.model_validate(stored)
        return definition, definition.spec()
    return _read_text(text)


@lru_cache(maxsize=CACHED_RENDITIONS, typed=True)
def _read_edge(edge: int, requested: str, quality: int | None, background: str) -> _ReadRendition:
    qualities = {} if quality is None else dict.fromkeys(("jpeg", "webp", "avif"), quality)
    formats = (_still_format(requested),)
    definition = RenditionDefinition(edge=edge, formats=formats, quality=qualities, background=background)
    return definition, definition.spec()


@lru_cache(maxsize=CACHED_RENDITIONS)
def _read_text(text: str) -> _ReadRendition:
    definition = RenditionDefinition.model_validate(json.loads(text))
    return definition, definition.spec()


def _still_format(requested: str) -> Any:
    """Return the format of still images: gif is only for animations, which the operation says."""
    return "auto" if requested == "gif" else requested
