"""The command that signs links to images that are made on demand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from ..command import CommandError, command
from .token import SECRET_VARIABLE, read_secret

if TYPE_CHECKING:
    from ..session import Session


@command
def link(
    session: Session,
    task_id: Annotated[str, typer.Argument(help="The job of the original.", metavar="TASK_ID", show_default=False)],
    image: Annotated[
        str,
        typer.Argument(help="The image: product/card@2x.avif.", metavar="PRESET/FILE", show_default=False),
    ],
    *,
    version: Annotated[
        str | None, typer.Option("--preset-version", help="The preset's version; then caches keep the image for ever.")
    ] = None,
    seconds: Annotated[int | None, typer.Option(min=1, help="How long the link is valid; by default for ever.")] = None,
    secret_file: Annotated[
        str | None,
        typer.Option(metavar="FILE", help=f"The file of the secret, or - for stdin; by default ${SECRET_VARIABLE}."),
    ] = None,
) -> None:
    """Sign a link to an image of any preset, without asking the gateway.

    The image is made when the link is first followed. --url says where browsers reach the gateway.
    """
    from rich.text import Text

    from ...client.image_links import image_url

    preset, slash, file = image.partition("/")
    if not (preset and slash and file) or "/" in file:
        raise CommandError(f"Name the image as PRESET/FILE, such as product/card@2x.avif, not {image!r}.")
    expires = None if seconds is None else datetime.now(UTC) + timedelta(seconds=seconds)
    secret = read_secret(secret_file)
    try:
        url = image_url(session.url, task_id, preset, file, secret=secret, version=version, expires=expires)
    except ValueError as error:
        raise CommandError(f"{str(error).capitalize()}.") from error
    session.print_result({"url": url, "expires_at": expires and expires.isoformat(timespec="seconds")}, Text(url))
