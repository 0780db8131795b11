"""The presets that are in force."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pipeline.presets.preset import DEFAULT, Preset, default_preset


class PresetUnknown(LookupError):
    """There is no preset with this name."""


class PresetsNotReady(Exception):
    """The presets of the file are not in force yet: the images that they name are not stored."""


class Presets:
    """The presets by name. One of them is `default`."""

    def __init__(self, edges: Mapping[str, int], *, is_ready: bool = True) -> None:
        """Begin with the preset `default` of the setting `renditions`; not ready if there is a file of presets."""
        self._default = default_preset(edges)
        self._presets: dict[str, Preset] = {DEFAULT: self._default}
        self.is_ready = self.is_current = is_ready

    def __iter__(self) -> Iterator[Preset]:
        """Iterate over the presets, sorted by name. Raises `PresetsNotReady`."""
        if not self.is_ready:
            raise PresetsNotReady
        return iter(sorted(self._presets.values(), key=lambda preset: preset.name))

    def get(self, name: str = DEFAULT) -> Preset:
        """Return a preset. Raises `PresetUnknown`, or `PresetsNotReady`: then nobody knows whether there is one."""
        if not self.is_ready:
            raise PresetsNotReady
        try:
            return self._presets[name]
        except KeyError:
            raise PresetUnknown(name) from None

    @property
    def has_own_default(self) -> bool:
        """Whether the preset `default` is that of a file, and not of the setting `renditions`."""
        return self._presets[DEFAULT] is not self._default

    def put_in_force(self, presets: Mapping[str, Preset]) -> None:
        """Replace all presets at once by these; without a `default`, that of `renditions` stays."""
        self._presets = {DEFAULT: self._default, **presets}
        self.is_ready = self.is_current = True

    def keep(self) -> None:
        """Keep the presets that are in force, though those of the file are others: they could not be loaded."""
        self.is_current = False
