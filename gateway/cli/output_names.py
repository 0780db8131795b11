"""Names of saved files: the photo's name and folder, and never a name that another photo uses."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, count
from pathlib import Path, PurePath

from ..client.filenames import safe_filename
from ..client.models import JobStatus

OUTPUT = "output"


def rendition_label(rendition: str, kind: str) -> str:
    """Return the word for a rendition in a file name: its name, or the operation for an operation's only output."""
    return kind if rendition == OUTPUT else rendition


def upload_name_of(job: JobStatus) -> PurePath:
    """Return the name of a job's upload, for results of a job whose photo is not a local file."""
    return PurePath(safe_filename(job.original.name or "") or "image")


class OutputNames:
    """Gives each photo its own stem, the same in every run. The stem is the start of the names of its files."""

    def __init__(self, owners: Mapping[str, str]) -> None:
        """Start with the stems of earlier runs: `owners` has the photo of each stem."""
        self._owners = {stem.casefold(): owner for stem, owner in owners.items()}
        self._stems = {owner: stem for stem, owner in owners.items()}

    def claim(self, owner: str, wanted: PurePath, *, is_taken: Callable[[str], bool] = lambda _: False) -> str:
        """Return the stem for a photo whose path in the output folder is `wanted`: beach, beach.png or beach~2.

        The photo keeps the stem that it already has, unless `is_taken` says that its files belong to another.
        """
        own_stem = [self._stems[owner]] if owner in self._stems else []
        stem = next(
            name
            for name in chain(own_stem, _candidates(wanted))
            if self._owners.get(name.casefold(), owner) == owner and not is_taken(name)
        )
        self._owners[stem.casefold()] = owner
        self._stems[owner] = stem
        return stem


def _candidates(wanted: PurePath) -> Iterable[str]:
    stem = wanted.with_suffix("").as_posix()
    return chain([stem, wanted.as_posix()], (f"{stem}~{number}" for number in count(2)))


def output_paths(files: Sequence[tuple[Path, Path | None]]) -> list[PurePath]:
    """Return the path of each photo in the output folder. `files` has the path and the folder argument, if any.

    Photos of one folder argument keep their paths in that folder. With several arguments, the folder's name comes
    first. Photos that are arguments themselves keep their names only. If two of those names are alike, they keep their
    paths below the folder that they have in common.
    """
    folders = {root for _, root in files if root}
    arguments = [path for path, root in files if root is None]
    shared = _shared_folder(arguments)
    paths = []
    for path, root in files:
        if root is None:
            paths.append(path.relative_to(shared) if shared else PurePath(path.name))
        else:
            paths.append(path.relative_to(root if len(folders) == 1 and not arguments else root.parent))
    return paths


def _shared_folder(paths: Sequence[Path]) -> Path | None:
    """Return the folder that contains all the paths, if two of them have the same stem; else None."""
    folders = {path.parent for path in paths}
    stems = [path.stem.casefold() for path in paths]
    if len(folders) < 2 or len(set(stems)) == len(stems):  # noqa: PLR2004  # files of one folder have distinct names
        return None
    return Path(os.path.commonpath(folders))
