"""The command that watches a folder and uploads what lands in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..command import command
from ..exit_codes import ExitCode
from .upload import batch_option, result_option, saving_option

if TYPE_CHECKING:
    from ..session import Session


@command
def watch(  # noqa: PLR0913  # options
    session: Session,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder to watch.", show_default=False)],
    *,
    preset: Annotated[
        str | None, result_option("--preset", "-p", help="What to make of the photos, by default the preset default.")
    ] = None,
    wait: Annotated[bool, saving_option("--wait", "-w", help="Follow each job to its end.")] = False,
    out: Annotated[
        Path | None,
        saving_option("--out", "-o", file_okay=False, help="Save the results in this folder, as `upload` does."),
    ] = None,
    concurrency: Annotated[
        int, batch_option("--concurrency", "-c", min=1, max=64, help="How many photos to process at the same time.")
    ] = 4,
    recursive: Annotated[bool, batch_option(help="Watch subfolders too.")] = True,
    retry_failed: Annotated[
        bool, batch_option("--retry-failed", help="Also retry the photos that failed or were refused in earlier runs.")
    ] = False,
    settle: Annotated[
        float, batch_option(min=0.1, help="Seconds that a file must not change before it counts as complete.")
    ] = 2.0,
    interval: Annotated[float, batch_option(min=0.1, help="Seconds between two looks into the folder.")] = 1.0,
) -> ExitCode:
    """Watch a folder, and upload each photo that lands in it, until the command is interrupted.

    A photo is uploaded once for each content, also when the command is started again: it keeps the journal
    .darkroom-uploads.jsonl in --out, or else in the folder. A file counts as complete when its size and time have not
    changed for --settle seconds. While the gateway is unavailable, the command waits for it.
    """
    from ..plan import UploadOptions
    from ..watch_run import WatchArguments, watch_photos

    arguments = WatchArguments(
        folder=folder,
        fields={} if preset is None else {"preset": preset},
        options=UploadOptions(wait=wait, save=out is not None, retry_failed=retry_failed),
        out=out,
        concurrency=concurrency,
        recursive=recursive,
        settle_seconds=settle,
        interval_seconds=interval,
    )
    return watch_photos(session, arguments)
