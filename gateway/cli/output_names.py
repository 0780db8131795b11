"""Names of what is saved: after the photo, in the folder it had, and never one that is another's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, count
from pathlib import Path, PurePath

from ..client.filenames import safe_filename
from ..client.models import JobStatus

SUFFIXES = {"jpeg": ".jpg"}
OUTPUT = "output"


def file_suffix(format_: str) -> str:
    """Return what the name of a file of this format ends with."""
    return SUFFIXES.get(format_, f".{format_}")


def rendition_label(rendition: str, kind: str) -> str:
    """Return the word in the name of a rendition: its own, or for the one of an operation the operation's."""
    return kind if rendition == OUTPUT else rendition


def upload_name_of(job: JobStatus) -> PurePath:
    """Return the upload's name, for the results of a job whose photo is not at hand."""
    return PurePath(safe_filename(job.original.name or "") or "image")


class OutputNames:
    """Gives each photo a stem of its own, the same one in every run."""

    def __init__(self, owners: Mapping[str, str]) -> None:
        """Take whose each stem is already."""
        self._owners = {stem.casefold(): owner for stem, owner in owners.items()}
        self._stems = {owner: stem for stem, owner in owners.items()}

    def claim(self, owner: str, wanted: PurePath, *, is_taken: Callable[[str], bool] = lambda _: False) -> str:
        """Return the stem for a photo whose path in the output folder would be `wanted`: beach, beach.png, beach~2.

        It is the one that the photo has already, unless that would meet files that are another's: `is_taken`.
        """
        own = [self._stems[owner]] if owner in self._stems else []
        stem = next(
            name
            for name in chain(own, _candidates(wanted))
            if self._owners.get(name.casefold(), owner) == owner and not is_taken(name)
        )
        self._owners[stem.casefold()] = owner
        self._stems[owner] = stem
        return stem


def _candidates(wanted: PurePath) -> Iterable[str]:
    stem = wanted.with_suffix("").as_posix()
    return chain([stem, wanted.as_posix()], (f"{stem}~{number}" for number in count(2)))


def output_paths(files: Sequence[tuple[Path, Path | None]]) -> list[PurePath]:
    """Return where in an output folder each photo belongs, as a path; each comes with the folder it was found through.

    Photos of one folder keep their places in it; of several, the folder's name too. Photos that were named keep their
    bare names, or where those are alike their places below the folder that they have in common.
    """
    folders = {root for _, root in files if root}
    named = [path for path, root in files if root is None]
    shared = _shared_folder(named)
    placed = []
    for path, root in files:
        if root is None:
            placed.append(path.relative_to(shared) if shared else PurePath(path.name))
        else:
            placed.append(path.relative_to(root if len(folders) == 1 and not named else root.parent))
    return placed


def _shared_folder(paths: Sequence[Path]) -> Path | None:
    """Return the folder all are below, if their names alone would not tell them apart."""
    folders = {path.parent for path in paths}
    stems = [path.stem.casefold() for path in paths]
    if len(folders) < 2 or len(set(stems)) == len(stems):  # noqa: PLR2004  # one folder tells nothing apart
        return None
    return Path(os.path.commonpath(folders))
