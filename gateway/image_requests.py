"""What a request for an image on demand asks for: one file of a rendition of a preset, as the preset is now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.permission import Permission
from gateway.problems import RenditionNotFound
from gateway.variants import DENSITY_TOLERANCE, FORMAT_OF_EXTENSION, Selection
from pipeline.presets.definition import RenditionDefinition
from pipeline.presets.preset import LOWEST_DPR, Preset, read_definition
from pipeline.presets.registry import Presets, PresetUnknown
from pipeline.rendition_headers import extension_of, suffix_of
from stages.formats import OUTPUT_FORMATS
from storage.documents import Operation
from storage.job_ids import derive_job_id

FORMATS = tuple(name for name in OUTPUT_FORMATS if name != "auto")
"""Every format that a file on demand may have, whatever the rendition's own are: the link says which."""


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """One file of a rendition: its format and its density."""

    preset: Preset
    rendition: str
    format: str
    dpr: float

    @classmethod
    def read(cls, presets: Presets, permission: Permission, preset_name: str, file: str) -> ImageRequest:
        """Read a preset and a name such as `card@2x.avif`. Raises `RenditionNotFound`, which says what there is."""
        preset = _find_preset(presets, permission, preset_name)
        named = Selection().named(file)
        renditions = preset.definition.renditions
        if named.rendition not in renditions:
            raise _not_found(f"The preset {preset.name} has no rendition {named.rendition!r}.", renditions)
        extension = (named.format or "").lower()
        name, densities = FORMAT_OF_EXTENSION.get(extension, extension), renditions[named.rendition].dpr
        dpr = min(densities, key=lambda each: abs(each - (named.dpr or min(densities))))
        if name not in FORMATS or abs(dpr - (named.dpr or dpr)) > DENSITY_TOLERANCE:
            raise _not_found(f"The preset {preset.name} has no file {file!r}.", _list_files(named.rendition, densities))
        return cls(preset, named.rendition, name, dpr)

    @property
    def selection(self) -> Selection:
        """Which variant of the rendition it is."""
        return Selection(rendition=self.rendition, format=self.format, dpr=self.dpr)

    def derive_job_id(self, parent_id: str) -> str:
        """Return the id of the job that makes the file of another job's original."""
        parts = (self.preset.name, self.preset.version, self.rendition, self.format, f"{self.dpr:g}")
        return derive_job_id(parent_id, *parts)

    def build_operation(self) -> Operation:
        """Return what that job does: the rendition, reduced to this file. It is put into no bucket."""
        only = self._definition.model_copy(update={"formats": (self.format,), "dpr": (self.dpr,)})
        stored = only.model_dump(mode="json", exclude_none=True)
        parameters = {LOWEST_DPR: min(self._definition.dpr)}
        changes = {"renditions": {self.rendition: stored}, "parameters": parameters, "destination": None}
        return self._whole.model_copy(update=changes)

    def is_part_of(self, operation: Operation) -> bool:
        """Whether a job with this operation makes the rendition as the preset says it, perhaps in other formats."""
        if self.rendition not in operation.renditions or operation.animated:
            return False
        is_same = read_definition(operation, self.rendition) == self._definition
        return is_same and operation.asset_digests == dict(self.preset.assets)

    def is_surely_part_of(self, operation: Operation) -> bool:
        """Whether such a job will have this very file. Of `auto`, nobody knows the format before."""
        return self.is_part_of(operation) and self.format in self._definition.formats

    @property
    def _whole(self) -> Operation:
        return self.preset.resolve({})

    @property
    def _definition(self) -> RenditionDefinition:
        return read_definition(self._whole, self.rendition)


def _find_preset(presets: Presets, permission: Permission, name: str) -> Preset:
    try:
        return presets.get(name)
    except PresetUnknown:
        names = (each.name for each in presets if permission.presets is None or each.name in permission.presets)
        raise _not_found(f"There is no preset {name!r}.", names) from None


def _list_files(rendition: str, densities: Iterable[float]) -> list[str]:
    return [f"{rendition}{suffix_of(dpr)}.{extension_of(name)}" for name in FORMATS for dpr in sorted(densities)]


def _not_found(message: str, names: Iterable[str]) -> RenditionNotFound:
    return RenditionNotFound(f"{message} Ask for one of: {', '.join(names)}.")
