"""Calls: each request to the gateway as a value, without a connection. Both clients send them.

Both clients have a method for each public function here, with the same name, parameters and docstring. So the
docstrings describe what the method does and returns.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Literal, TypedDict, TypeVar, Unpack
from urllib.parse import quote
from uuid import uuid4

import httpx

from .call import RESULT_SECONDS, Call
from .filenames import filename_of, join_inside
from .files import File, ProgressCallback, ReopenableFile
from .models import Accepted, Answer, Capabilities, JobPage, JobStatus, Readiness, Reprocessing, Token
from .problem import OK_RANGE
from .receivers import RESULT_MAX_BYTES, BodyParser, FileReceiver, MemoryReceiver, Receiver, verify_content

AnswerT = TypeVar("AnswerT", bound=Answer)


class ImageOptions(TypedDict, total=False):
    """The options of every call that uploads an image.

    `format` ("auto" by default), `quality` (1 to 100) and `background` (a colour as in CSS) are form fields of the
    gateway. `source_url` is the address of an image that the gateway fetches, `source_key` an object in a bucket that
    the API key may use; each takes the place of a file. `name` is the image's file name, needed for bytes and streams
    without one. `progress` is called while the image is sent, with the bytes sent so far and in all. Without an
    `idempotency_key`, the call creates one for all its attempts.
    """

    format: str
    quality: int
    background: str
    source_url: str
    source_key: str
    name: str
    idempotency_key: str
    progress: ProgressCallback


FORM_OPTIONS = ("format", "quality", "background", "source_url", "source_key")
"""The options that are fields of the form."""


def upload(
    file: File | None = None,
    *,
    preset: str | None = None,
    animated: bool = False,
    **options: Unpack[ImageOptions],
) -> Call[Accepted]:
    """Upload an image (a path, bytes or a binary stream), and return its new job. The job creates the previews.

    `preset` says which, by default the preset `default`; it refuses options that it does not let an upload set.
    `animated` keeps the frames of an animation, as WebP or GIF. A stream is read from its position to its end.
    """
    return _post("/upload", file, options, preset=preset, animated=animated or None)


def crop(  # noqa: PLR0913  # the form's fields
    file: File | None = None,
    *,
    source_task_id: str | None = None,
    left: int | None = None,
    top: int | None = None,
    width: int | None = None,
    height: int | None = None,
    aspect: str | None = None,
    **options: Unpack[ImageOptions],
) -> Call[Accepted]:
    """Crop an image, or the original of the job `source_task_id`, and return the new job.

    The box is either `left`, `top`, `width` and `height`, in pixels of the upright image, or the largest centred box
    of an `aspect` such as "16:9".
    """
    box = {"left": left, "top": top, "width": width, "height": height, "aspect": aspect}
    return _post("/crop", file, options, source_task_id=source_task_id, **box)


def grayscale(
    file: File | None = None, *, source_task_id: str | None = None, **options: Unpack[ImageOptions]
) -> Call[Accepted]:
    """Convert an image, or the original of the job `source_task_id`, to grayscale, and return the new job."""
    return _post("/grayscale", file, options, source_task_id=source_task_id)


def resize(
    file: File | None = None,
    *,
    source_task_id: str | None = None,
    width: int | None = None,
    height: int | None = None,
    fit: str | None = None,
    enlarge: bool = False,
    **options: Unpack[ImageOptions],
) -> Call[Accepted]:
    """Resize an image, or the original of the job `source_task_id`, to a box, and return the new job.

    The box has a `width`, a `height` or both, in pixels. `fit` is "contain" (the default), "cover", "fill" or "inside".
    An image smaller than the box is enlarged only with `enlarge`.
    """
    box = {"width": width, "height": height, "fit": fit, "enlarge": enlarge or None}
    return _post("/resize", file, options, source_task_id=source_task_id, **box)


def process(
    file: File | None = None,
    *,
    steps: Sequence[str | Mapping[str, object]],
    source_task_id: str | None = None,
    **options: Unpack[ImageOptions],
) -> Call[Accepted]:
    """Apply steps to an image, or to the original of the job `source_task_id`, in order, and return the new job.

    A step is its name, or a mapping of its name to its parameters: ["grayscale", {"blur": 2}, {"format": "webp"}].
    """
    written = json.dumps(list(steps), separators=(",", ":"), allow_nan=False)
    return _post("/process", file, options, source_task_id=source_task_id, steps=written)


def status(task_id: str, *, wait: float = 0.0) -> Call[JobStatus]:
    """Return the job. With `wait`, the gateway answers when the job has ended, or after `wait` seconds (at most 60)."""
    return Call(
        method="GET",
        path=f"/task-status/{_segment(task_id)}",
        query={"wait": wait} if wait else {},
        server_wait_seconds=wait,
        receive=json_receiver(JobStatus),
    )


def status_if_changed(task_id: str, *, etag: str | None, wait: float) -> Call[tuple[JobStatus | None, str | None]]:
    """Wait at most `wait` seconds until the job differs from `etag`. Return the job and its ETag.

    The job is None if it has not changed. Without an `etag`, the gateway waits until the job has ended.
    """

    def read(answer: httpx.Response, content: bytes) -> tuple[JobStatus | None, str | None]:
        is_unchanged = answer.status_code == HTTPStatus.NOT_MODIFIED
        return None if is_unchanged else JobStatus.model_validate_json(content), answer.headers.get("etag")

    return Call(
        method="GET",
        path=f"/task-status/{_segment(task_id)}",
        query={"wait": wait},
        headers={"If-None-Match": etag} if etag and etag.isascii() else {},
        server_wait_seconds=wait,
        receive=lambda answer: MemoryReceiver(answer, read, accepted_statuses=frozenset({HTTPStatus.NOT_MODIFIED})),
    )


def job_page(
    *, status: str | None = None, kind: str | None = None, cursor: str | None = None, limit: int = 100
) -> Call[JobPage]:
    """Return one page of jobs, newest first. `cursor` is `next` of the page before; `limit` is at most 100."""
    parameters = {"status": status, "kind": kind, "cursor": cursor, "limit": limit}
    query = {name: value for name, value in parameters.items() if value is not None}
    return Call(method="GET", path="/jobs", query=query, receive=json_receiver(JobPage))


def result(task_id: str, rendition: str | None = None, *, format: str | None = None) -> Call[bytes]:  # noqa: A002
    """Return the bytes of a rendition, verified against their digest.

    Without a `rendition`, it is the largest preview, or the output of an operation. If it has several formats, it is
    the last one, which every client shows, unless `format` is given, or the name has one: card@2x.avif. Raises a
    subclass of httpx's RemoteProtocolError if the bytes still do not match after the retries.
    """
    return Call(
        method="GET",
        path=_result_path(task_id, rendition),
        query=_result_query(format),
        answer_seconds=RESULT_SECONDS,
        receive=lambda answer: MemoryReceiver(answer, verify_content, max_bytes=RESULT_MAX_BYTES),
    )


def save_result(
    task_id: str,
    path: Path | str | None = None,
    rendition: str | None = None,
    *,
    format: str | None = None,  # noqa: A002  # the query's word
) -> Call[Path]:
    """Save a rendition to a file, and return the file's path. The file appears only after its digest is verified.

    If `path` is a folder (by default the current one), the file gets the gateway's name for it, such as
    photo-small.jpg. If a different file has that name, the new one is called photo-small (2).jpg. If `path` is a file,
    it is overwritten. Raises OSError if the file cannot be written.
    """
    target = Path() if path is None else Path(path)

    def receive(answer: httpx.Response) -> Receiver[Path]:
        if answer.status_code not in OK_RANGE:
            return MemoryReceiver(answer, lambda *_: target)
        if target.is_dir():
            return FileReceiver(answer, join_inside(target, filename_of(answer)), overwrite=False)
        return FileReceiver(answer, target)

    return Call(
        method="GET",
        path=_result_path(task_id, rendition),
        query=_result_query(format),
        answer_seconds=RESULT_SECONDS,
        receive=receive,
    )


def retry(task_id: str) -> Call[Accepted]:
    """Retry a dead or failed job from that stage. `Problem` not_retryable if it is neither or its images are gone."""
    return Call(
        method="POST",
        path=f"/jobs/{_segment(task_id)}/retry",
        headers=_idempotency_headers(None),
        is_idempotent=False,
        receive=json_receiver(Accepted),
    )


def reprocess(task_id: str, *, preset: str | None = None) -> Call[Reprocessing]:
    """Make new results of a job's original, with its preset as it is now, or with another one.

    Its links stay, and its results too, until the new ones are complete. `Problem` not_reprocessable if the job has not
    ended or is cancelled, source_gone if its original is gone.
    """
    document = {} if preset is None else {"preset": preset}
    return Call(
        method="POST",
        path=f"/jobs/{_segment(task_id)}/reprocess",
        document=document,
        is_idempotent=False,
        receive=json_receiver(Reprocessing),
    )


def delete(task_id: str) -> Call[None]:
    """Cancel a job that has not ended, or remove one that has. Its images are deleted in both cases."""
    path = f"/jobs/{_segment(task_id)}"
    # Not idempotent: a second request would remove the job that the first one has cancelled.
    return Call(
        method="DELETE", path=path, is_idempotent=False, receive=lambda answer: MemoryReceiver(answer, lambda *_: None)
    )


def capabilities() -> Call[Capabilities]:
    """Return the gateway's limits, formats and failure codes."""
    return Call(method="GET", path="/capabilities", receive=json_receiver(Capabilities))


def health() -> Call[Readiness]:
    """Return whether the gateway accepts uploads, and each dependency. A 503 is returned too, not raised."""
    accepted_statuses = frozenset({HTTPStatus.SERVICE_UNAVAILABLE})
    return Call(
        method="GET",
        path="/readyz",
        receive=lambda answer: MemoryReceiver(answer, _json_parser(Readiness), accepted_statuses=accepted_statuses),
    )


def create_token(  # noqa: PLR0913  # what a token may say
    scope: Literal["upload", "read"],
    *,
    seconds: float | None = None,
    task_id: str | None = None,
    rendition: str | None = None,
    token_id: str | None = None,
    max_bytes: int | None = None,
    formats: Sequence[str] | None = None,
    presets: Sequence[str] | None = None,
    uses: int | None = None,
    origin: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Call[Token]:
    """Make a token for a browser or an app, which must not have the API key, and return it.

    A token with the scope "upload" uploads, within the limits that follow `token_id`, the id of an earlier token that
    it continues. One with "read" reads the job `task_id`, or one `rendition` of it. It is valid for `seconds`: an hour
    by default, 24 hours at most.
    """
    wanted = {
        "scope": scope,
        "seconds": seconds,
        "task_id": task_id,
        "rendition": rendition,
        "token_id": token_id,
        "max_bytes": max_bytes,
        "formats": None if formats is None else list(formats),
        "presets": None if presets is None else list(presets),
        "uses": uses,
        "origin": origin,
        "metadata": None if metadata is None else dict(metadata),
    }
    document = {name: value for name, value in wanted.items() if value is not None}
    return Call(method="POST", path="/tokens", document=document, receive=json_receiver(Token))


def _post(path: str, file: File | None, options: ImageOptions, **fields: object) -> Call[Accepted]:
    if unknown := options.keys() - ImageOptions.__annotations__.keys():
        raise TypeError(f"{path[1:]}() got an unexpected keyword argument {min(unknown)!r}")
    output = {name: options.get(name) for name in FORM_OPTIONS}
    form = {name: _encode_value(value) for name, value in (output | fields).items() if value is not None}
    image = (
        file if file is None else ReopenableFile.of(file, name=options.get("name"), progress=options.get("progress"))
    )
    headers = _idempotency_headers(options.get("idempotency_key"))
    return Call(method="POST", path=path, headers=headers, form=form, image=image, receive=json_receiver(Accepted))


def _idempotency_headers(key: str | None) -> dict[str, str]:
    return {"Idempotency-Key": key or str(uuid4())}


def _encode_value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def json_receiver(shape: type[AnswerT]) -> Callable[[httpx.Response], Receiver[AnswerT]]:
    """Return how to receive an answer of this shape."""
    return lambda answer: MemoryReceiver(answer, _json_parser(shape))


def _json_parser(shape: type[AnswerT]) -> BodyParser[AnswerT]:
    return lambda _, content: shape.model_validate_json(content)


def _result_path(task_id: str, rendition: str | None) -> str:
    path = f"/result/{_segment(task_id)}"
    return path if rendition is None else f"{path}/{_segment(rendition)}"


def _result_query(name: str | None) -> dict[str, str]:
    return {} if name is None else {"format": name}


def _segment(text: str) -> str:
    """Quote a caller's id, so that it stays one segment of the path."""
    return quote(text, safe="")
