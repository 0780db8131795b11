"""Where a form says that its image is: in a file, in an earlier job, at a URL or in a bucket."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from gateway.permission import Permission, Scope
from gateway.problems import FileMissing, InsufficientScope, InvalidForm, SourceNotAllowed, TooManyFiles
from gateway.submission.file_names import clean_filename
from gateway.submission.forms import SOURCE_FIELDS, OutputForm
from gateway.submission.rules import build_rule
from gateway.submission.upload_stream import FILE_FIELD
from pipeline.outbound.errors import OutboundRefused
from pipeline.outbound.guard import check_url
from pipeline.settings import Settings
from pipeline.sources import InvalidKey, KeyNotAllowed, resolve_key, sources_of
from stages.errors import BrokenRule, FetchRefused
from storage.documents import Original, Source

UNKNOWN_MEDIA_TYPE = "application/octet-stream"
MAX_NAME_CHARACTERS = 255


def check_one_source(form: OutputForm, *, has_file: bool) -> None:
    """Raise `TooManyFiles` or `FileMissing` unless the form says once where the image is."""
    given = [FILE_FIELD] * has_file + [name for name in SOURCE_FIELDS if getattr(form, name, None) is not None]
    if len(given) > 1:
        raise TooManyFiles(f"The form has {' and '.join(given)}. Send only one of them.")
    if not given:
        raise FileMissing(
            f"The form has no file. Send the image as a file in the field {FILE_FIELD}, or its address in source_url."
        )


def read_source(form: OutputForm, permission: Permission, settings: Settings) -> Source | None:
    """Return where a worker is to fetch the image from; None if it is sent, or an earlier job has it.

    Raises `InsufficientScope`, `FetchRefused`, `InvalidForm` and `SourceNotAllowed`.
    """
    if form.source_url is None and form.source_key is None:
        return None
    if permission.scope is not Scope.ALL:
        raise InsufficientScope(
            f"A token uploads files: send the image in the field {FILE_FIELD}. source_url and source_key need an API "
            "key, because the server fetches from there."
        )
    if form.source_url is not None:
        return Source(address=_check_address(form.source_url.strip(), settings))
    return _read_key(form.source_key or "", permission, settings)


def describe_original(source: Source, key: str) -> Original:
    """Return what is known of an original before it is fetched: its name, from the last part of the address."""
    path = unquote(urlsplit(source.address).path) if source.is_url else source.address
    name = clean_filename(path.rpartition("/")[2])[:MAX_NAME_CHARACTERS]
    return Original(blob=key, name=name or None, media_type=UNKNOWN_MEDIA_TYPE, bytes=0, sha256="")


def _check_address(url: str, settings: Settings) -> str:
    """Return a URL without its fragment, which is not sent. Raises `FetchRefused` if the URL alone shows why."""
    try:
        check_url(url, settings.outbound)
    except OutboundRefused as error:
        rule = BrokenRule(pointer="/source_url", rule="refused", message=error.reason)
        raise FetchRefused(error.reason, errors=(rule,)) from error
    return url.partition("#")[0]


def _read_key(key: str, permission: Permission, settings: Settings) -> Source:
    try:
        address = resolve_key(key, sources_of(permission.owner, settings.sources))
    except InvalidKey as error:
        rule = build_rule("/source_key", "invalid", str(error))
        raise InvalidForm("The form breaks the rules that errors lists.", errors=[rule]) from error
    except KeyNotAllowed as error:
        raise SourceNotAllowed(str(error)) from error
    return Source(address=address, key=key)
