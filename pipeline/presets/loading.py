"""Loads presets from their files, whole: either everything in them is right, or every mistake is raised."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from pipeline.preset_settings import PresetLimits
from pipeline.presets.asset_files import AssetFiles
from pipeline.presets.definition import NAME, PresetDefinition
from pipeline.presets.limits import check_limits
from pipeline.presets.mistakes import Location, Mistake, PresetMistakes, suggest, write_path
from pipeline.presets.preset import DEFAULT, Preset
from pipeline.presets.source import Snapshot, Unreadable
from pipeline.presets.toml_lines import find_lines, line_of
from pipeline.presets.validation import validate_table
from stages.limits import Limits

_TOML_ERROR = re.compile(r"(.*?)(?: \(at (?:line (\d+), column \d+|end of document)\))?", re.DOTALL)
SOURCE_ERRORS = (ValueError, RecursionError)
"""What the parser raises; for a number of 5,000 digits it is a bare ValueError."""
MAX_DEPTH = 16


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the files of presets say, all of it right."""

    presets: Mapping[str, Preset]
    assets: Mapping[str, bytes]
    """The bytes of each image file that the presets name, by its SHA-256 (hex)."""


def load_presets(
    snapshot: Snapshot, *, limits: PresetLimits, image_limits: Limits, destinations: Collection[str] | None = None
) -> Loaded:
    """Return the presets of the files. Raises `PresetMistakes` with every mistake in all of them.

    `destinations` are the names of those in the settings; None: they are not known here.
    """
    loading = _Loading(snapshot, limits, image_limits, destinations)
    for file, content in snapshot.files.items():
        loading.add_file(file, content)
    loading.check_count()
    if loading.mistakes:
        raise PresetMistakes(loading.mistakes)
    return Loaded(loading.presets, loading.images.contents)


def read_files(
    path: str, *, limits: PresetLimits, image_limits: Limits, destinations: Collection[str] | None = None
) -> Loaded:
    """Return the presets of a file or a folder, as `load_presets` does. Raises `PresetMistakes`."""
    try:
        snapshot = Snapshot(Path(path))
    except Unreadable as error:
        raise PresetMistakes([Mistake(path, "", str(error))]) from None
    return load_presets(snapshot, limits=limits, image_limits=image_limits, destinations=destinations)


class _Loading:
    """One load: what is right, and what is not."""

    def __init__(
        self, snapshot: Snapshot, limits: PresetLimits, image_limits: Limits, destinations: Collection[str] | None
    ) -> None:
        self._limits = limits
        self._image_limits = image_limits
        self._destinations = destinations
        self.images = AssetFiles(snapshot, max_bytes=limits.asset_bytes, limits=image_limits)
        self.presets: dict[str, Preset] = {}
        self._files: dict[str, str] = {}
        self.mistakes: list[Mistake] = []

    def add_file(self, file: str, content: bytes | Unreadable) -> None:
        """Add the presets of one file, and its mistakes."""
        if isinstance(content, Unreadable):
            self.mistakes.append(Mistake(file, "", str(content)))
            return
        try:
            text = content.decode("utf-8-sig")
            tables = tomllib.loads(text)
            _check_depth(tables)
        except SOURCE_ERRORS as error:
            self.mistakes.append(_describe_source_error(file, error))
            return
        lines, mistakes = find_lines(text), list[Mistake]()
        for name, table in tables.items():
            for location, message in self._add_table(file, name, table):
                path = write_path((name, *location))
                mistakes.append(Mistake(file, path, message, line_of(path, lines)))
        self.mistakes += sorted(mistakes, key=lambda mistake: mistake.line or 0)

    def check_count(self) -> None:
        """Check how many presets there are in all files, with `default`, which is always there."""
        count = len(self._files.keys() | {DEFAULT})
        if count > self._limits.presets:
            message = f"There are {count} presets, `default` included; at most {self._limits.presets} are allowed."
            self.mistakes.append(Mistake(", ".join(dict.fromkeys(self._files.values())), "", message))

    def _add_table(self, file: str, name: str, table: Any) -> Iterator[tuple[Location, str]]:
        if not re.fullmatch(NAME, name):
            yield (), "The name of a preset is a small letter, and then at most 31 small letters, digits and _."
        if not isinstance(table, dict):
            yield (), f"A preset is a table: [{name}]."
            return
        if name in self._files:
            yield (), f"There is a preset of this name in {self._files[name]}, too."
        self._files.setdefault(name, file)
        definition, mistakes = validate_table(table)
        yield from mistakes
        if definition is None:
            return
        yield from check_limits(definition, self._limits, self._image_limits)
        yield from self._check_destination(definition)
        assets: dict[str, str] = {}
        yield from self._read_images(definition, assets)
        self.presets[name] = Preset(name, definition, assets)

    def _check_destination(self, definition: PresetDefinition) -> Iterator[tuple[Location, str]]:
        known, destination = self._destinations, definition.destination
        if destination is None or known is None or destination.name in known:
            return
        advice = suggest(destination.name, sorted(known)) if known else "It is empty."
        yield ("destination", "name"), f"DARKROOM_DESTINATIONS has no {destination.name}. {advice}"

    def _read_images(self, definition: PresetDefinition, assets: dict[str, str]) -> Iterator[tuple[Location, str]]:
        for rendition, parts in definition.renditions.items():
            for (place, mistake), image, digest in self.images.read(parts):
                if mistake:
                    yield ("renditions", rendition, *place), mistake
                else:
                    assets[image] = digest


def _check_depth(value: Any) -> None:
    """Raise RecursionError for tables and lists in each other that no preset needs: a dotted key makes thousands."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        inner = (each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list))
        level = list(chain.from_iterable(inner))
    if level:
        raise RecursionError


def _describe_source_error(file: str, error: Exception) -> Mistake:
    if isinstance(error, UnicodeDecodeError):
        return Mistake(file, "", "The file is not UTF-8.", None)
    if isinstance(error, RecursionError):
        return Mistake(file, "", "Its tables and lists are nested too deeply.", None)
    if not isinstance(error, tomllib.TOMLDecodeError):
        return Mistake(file, "", "It has a number of too many digits.", None)
    message, line = _TOML_ERROR.fullmatch(str(error)).groups()  # type: ignore[union-attr]  # the place is optional
    place = "" if line else ", at the end of the file"
    return Mistake(file, "", f"It is not TOML: {message}{place}.", int(line) if line else None)
