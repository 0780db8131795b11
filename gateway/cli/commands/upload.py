"""The commands that upload photos: upload, and the operations crop, grayscale, resize and process."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..addresses import parse_source
from ..command import CommandError, command, parameters_of, set_parameters
from ..exit_codes import ExitCode

if TYPE_CHECKING:
    from ..session import Session

saving_option = partial(typer.Option, rich_help_panel="Waiting and saving")
batch_option = partial(typer.Option, rich_help_panel="Many photos")
result_option = partial(typer.Option, rich_help_panel="Result")
FITS = ("contain", "cover", "fill", "inside")
FORMATS = ("auto", "jpeg", "png", "webp", "avif", "gif")
Fields = dict[str, Any]

Pixels = Annotated[int | None, result_option(min=0, help="Offset in pixels of the upright image.")]
Side = Annotated[int | None, result_option(min=1, help="Size in pixels.")]


file_argument = partial(
    typer.Argument,
    help="Photos, folders of photos, - for stdin, or addresses that the gateway fetches: https://... or s3://...",
    metavar="FILES|DIR|URL",
    show_default=False,
    parser=parse_source,
)


def _file_arguments(files: Annotated[list[str], file_argument()]) -> None:
    """Declare the files of a command that requires them."""


def _file_or_job_arguments(
    files: Annotated[list[str] | None, file_argument()] = None,
    *,
    source: Annotated[
        str | None, typer.Option(help="The id of an earlier job: use its original image instead of files.")
    ] = None,
) -> None:
    """Declare the files of a command that also accepts an earlier job."""


def _upload_options(  # noqa: PLR0913  # options
    *,
    wait: Annotated[bool, saving_option("--wait", "-w", help="Wait until the jobs have ended.")] = False,
    out: Annotated[
        Path | None,
        saving_option(
            "--out",
            "-o",
            file_okay=False,
            help="Wait, and save the results in this folder as NAME-small.jpg and so on.",
        ),
    ] = None,
    format: Annotated[  # noqa: A002  # the field's name
        str | None,
        result_option(
            "--format",
            "-f",
            help="Output format, by default auto; `darkroom capabilities` lists all.",
            autocompletion=lambda: list(FORMATS),
        ),
    ] = None,
    quality: Annotated[
        int | None, result_option("--quality", "-q", min=1, max=100, help="Quality of a lossy output format.")
    ] = None,
    background: Annotated[
        str | None,
        result_option(
            help="Colour of padding, and behind transparent pixels for formats without transparency: "
            "#ffffff, #fff, white or rgb(255, 255, 255); `transparent` is for padding."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="File name of the photo that is read from stdin.")] = None,
    concurrency: Annotated[
        int, batch_option("--concurrency", "-c", min=1, max=64, help="How many photos to process at the same time.")
    ] = 4,
    recursive: Annotated[bool, batch_option(help="Search subfolders too.")] = True,
    retry_failed: Annotated[
        bool,
        batch_option("--retry-failed", help="Also retry the photos that failed or were refused in an earlier run."),
    ] = False,
) -> None:
    """Declare the options of every command that uploads photos."""


def upload_command(
    operation: str, sources: Callable[..., None]
) -> Callable[[Callable[..., Fields]], Callable[..., None]]:
    """Turn a function that maps a command's own options to form fields into a command that uploads photos.

    `sources` declares the arguments that name the photos.
    """

    def decorate(fields_of: Callable[..., Fields]) -> Callable[..., None]:
        own = parameters_of(fields_of)
        names = {parameter.name for parameter in own}

        def run(session: Session, /, **options: Any) -> ExitCode:
            from ..upload_run import UploadArguments, upload_photos

            fields = fields_of(**{name: options.pop(name) for name in names})
            fields |= {name: options.pop(name) for name in ("format", "quality", "background")}
            given = {name: value for name, value in fields.items() if value not in (None, False)}
            sources = options.pop("files") or ()
            files = tuple(each for each in sources if isinstance(each, Path))
            addresses = tuple(each for each in sources if isinstance(each, str))
            arguments = UploadArguments(operation=operation, fields=given, files=files, addresses=addresses, **options)
            return upload_photos(session, arguments)

        session = inspect.Parameter("session", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Any)
        run.__name__, run.__doc__ = fields_of.__name__, fields_of.__doc__
        set_parameters(run, [session, *parameters_of(sources), *own, *parameters_of(_upload_options)])
        return command(run)

    return decorate


@upload_command("upload", _file_arguments)
def upload(
    *,
    preset: Annotated[
        str | None, result_option("--preset", "-p", help="What to make of the photos, by default the preset default.")
    ] = None,
    animated: Annotated[
        bool, result_option("--animated", help="Keep the frames of an animation, as WebP or GIF.")
    ] = False,
) -> Fields:
    """Upload photos, and create previews of them.

    For folders, and with --out, the command keeps a journal: the file .darkroom-uploads.jsonl in --out, or else in the
    folder. After an interruption, run the same command again. It skips the photos that are done, waits for accepted
    jobs (with --wait or --out), and uploads the rest: an interruption never causes a second job for a photo. Photos
    that failed or were refused are retried only with --retry-failed.
    """
    return {"preset": preset, "animated": animated}


@upload_command("crop", _file_or_job_arguments)
def crop(
    *,
    aspect: Annotated[
        str | None, result_option(help="Keep the largest centred box of this ratio, such as 16:9.")
    ] = None,
    left: Pixels = None,
    top: Pixels = None,
    width: Side = None,
    height: Side = None,
) -> Fields:
    """Crop photos to a ratio (--aspect) or to a box (--left, --top, --width and --height)."""
    if all(value is None for value in (aspect, left, top, width, height)):
        raise CommandError("Specify --aspect, or --left, --top, --width and --height.")
    return {"aspect": aspect, "left": left, "top": top, "width": width, "height": height}


@upload_command("grayscale", _file_or_job_arguments)
def grayscale() -> Fields:
    """Convert photos to grayscale at full size."""
    return {}


@upload_command("resize", _file_or_job_arguments)
def resize(
    *,
    width: Side = None,
    height: Side = None,
    fit: Annotated[
        str | None,
        result_option(
            help=f"How the photo fits the box: {', '.join(FITS)}; by default {FITS[0]}.",
            autocompletion=lambda: list(FITS),
        ),
    ] = None,
    enlarge: Annotated[
        bool, result_option("--enlarge", help="Also enlarge photos that are smaller than the box.")
    ] = False,
) -> Fields:
    """Resize photos to a box: --width, --height or both."""
    if width is None and height is None:
        raise CommandError("Specify --width, --height or both.")
    return {"width": width, "height": height, "fit": fit, "enlarge": enlarge}


@upload_command("process", _file_or_job_arguments)
def process(
    *,
    steps: Annotated[
        str,
        result_option(
            metavar="JSON",
            help='What happens to the photos, in this order: \'["grayscale", {"blur": 2}, {"format": "webp"}]\'.',
        ),
    ],
) -> Fields:
    """Apply steps to photos: crop, resize, blur, a watermark and so on, one after another."""
    try:
        read = json.loads(steps)
    except ValueError as error:
        raise CommandError(f"--steps is not JSON: {error}.") from None
    if not isinstance(read, list):
        raise CommandError('--steps needs a list, such as \'["grayscale", {"blur": 2}]\'.')
    return {"steps": read}
