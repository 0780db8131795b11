"""The commands that send photos: upload, and the three operations."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from ..exit_codes import ExitCode
from ..session import CommandError, Session, command, parameters_of, set_parameters
from ..upload_run import UploadArguments, upload_photos

SAVING_PANEL = "Waiting and saving"
BATCH_PANEL = "Many photos"
RESULT_PANEL = "Result"
FITS = ("contain", "cover", "fill", "inside")
FORMATS = ("auto", "jpeg", "png", "webp", "avif", "gif")
Fields = dict[str, Any]

Pixels = Annotated[
    int | None, typer.Option(min=0, help="In pixels of the upright image.", rich_help_panel=RESULT_PANEL)
]
Side = Annotated[int | None, typer.Option(min=1, help="In pixels.", rich_help_panel=RESULT_PANEL)]


def _file_arguments(
    files: Annotated[
        list[Path],
        typer.Argument(help="Photos, folders of photos, or - for stdin.", metavar="FILES|DIR", show_default=False),
    ],
) -> None:
    """Declare what must be sent."""


def _file_or_job_arguments(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Photos, folders of photos, or - for stdin.", metavar="FILES|DIR", show_default=False),
    ] = None,
    *,
    source: Annotated[str | None, typer.Option(help="In place of files: the id of an earlier job.")] = None,
) -> None:
    """Declare what may be sent."""


def _upload_options(  # noqa: PLR0913  # options
    *,
    wait: Annotated[
        bool, typer.Option("--wait", "-w", help="Wait until the jobs have ended.", rich_help_panel=SAVING_PANEL)
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            file_okay=False,
            help="Wait, and save the results in this folder, as NAME-small.jpg and so on.",
            rich_help_panel=SAVING_PANEL,
        ),
    ] = None,
    format: Annotated[  # noqa: A002  # the field's name
        str | None,
        typer.Option(
            "--format",
            "-f",
            help="See `darkroom capabilities`.",
            autocompletion=lambda: list(FORMATS),
            rich_help_panel=RESULT_PANEL,
        ),
    ] = None,
    quality: Annotated[
        int | None, typer.Option("--quality", "-q", min=1, max=100, rich_help_panel=RESULT_PANEL)
    ] = None,
    background: Annotated[
        str | None, typer.Option(help="What alpha is laid on, as #rrggbb.", rich_help_panel=RESULT_PANEL)
    ] = None,
    name: Annotated[str | None, typer.Option(help="What stdin is called.")] = None,
    concurrency: Annotated[
        int, typer.Option("--concurrency", "-c", min=1, max=64, help="Photos at a time.", rich_help_panel=BATCH_PANEL)
    ] = 4,
    recursive: Annotated[
        bool, typer.Option(help="Look into folders within folders.", rich_help_panel=BATCH_PANEL)
    ] = True,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed", help="Try what failed for good in an earlier run, too.", rich_help_panel=BATCH_PANEL
        ),
    ] = False,
) -> None:
    """Declare the options of every command that sends photos."""


def upload_command(
    operation: str, sources: Callable[..., None]
) -> Callable[[Callable[..., Fields]], Callable[..., None]]:
    """Make a command that sends photos of a function from its own options to the form's fields."""

    def decorate(fields_of: Callable[..., Fields]) -> Callable[..., None]:
        own = parameters_of(fields_of)
        names = {parameter.name for parameter in own}

        def run(session: Session, /, **options: Any) -> ExitCode:
            fields = fields_of(**{name: options.pop(name) for name in names})
            fields |= {name: options.pop(name) for name in ("format", "quality", "background")}
            asked = {name: value for name, value in fields.items() if value not in (None, False)}
            files = tuple(options.pop("files") or ())
            return upload_photos(session, UploadArguments(operation=operation, fields=asked, files=files, **options))

        session = inspect.Parameter("session", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Session)
        run.__name__, run.__doc__ = fields_of.__name__, fields_of.__doc__
        set_parameters(run, [session, *parameters_of(sources), *own, *parameters_of(_upload_options)])
        return command(run)

    return decorate


@upload_command("upload", _file_arguments)
def upload(
    *,
    animated: Annotated[
        bool, typer.Option("--animated", help="Keep all frames.", rich_help_panel=RESULT_PANEL)
    ] = False,
) -> Fields:
    """Upload photos, to have previews made of them.

    Of folders, and with --out, a journal is kept (.darkroom-uploads.jsonl, in --out or else in the folder): the same
    command again skips what is done, waits for what was accepted, and sends the rest. What failed for good is only
    tried again with --retry-failed. No photo is made into two jobs, whenever a run is interrupted.
    """
    return {"animated": animated}


@upload_command("crop", _file_or_job_arguments)
def crop(
    *,
    aspect: Annotated[
        str | None, typer.Option(help="The largest centred box of a ratio, as 16:9.", rich_help_panel=RESULT_PANEL)
    ] = None,
    left: Pixels = None,
    top: Pixels = None,
    width: Side = None,
    height: Side = None,
) -> Fields:
    """Cut a box out of photos: --aspect, or --left, --top, --width and --height."""
    if all(value is None for value in (aspect, left, top, width, height)):
        raise CommandError("Name the box: --aspect, or --left, --top, --width and --height.")
    return {"aspect": aspect, "left": left, "top": top, "width": width, "height": height}


@upload_command("grayscale", _file_or_job_arguments)
def grayscale() -> Fields:
    """Turn photos grey, at their full size."""
    return {}


@upload_command("resize", _file_or_job_arguments)
def resize(
    *,
    width: Side = None,
    height: Side = None,
    fit: Annotated[
        str | None,
        typer.Option(
            help=f"One of {', '.join(FITS)}.", autocompletion=lambda: list(FITS), rich_help_panel=RESULT_PANEL
        ),
    ] = None,
    enlarge: Annotated[bool, typer.Option("--enlarge", help="Small photos too.", rich_help_panel=RESULT_PANEL)] = False,
) -> Fields:
    """Bring photos to a box: --width, --height or both."""
    if width is None and height is None:
        raise CommandError("Name the box: --width, --height or both.")
    return {"width": width, "height": height, "fit": fit, "enlarge": enlarge}
