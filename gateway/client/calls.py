"""Calls: each thing that can be asked of the gateway, as a value; asking is left to whoever has a connection.

What these functions take is what the methods of the same names of both clients take.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypedDict, TypeVar, Unpack
from urllib.parse import quote
from uuid import uuid4

import httpx

from .filenames import filename_of
from .files import File, ProgressCallback, ReopenableFile
from .models import Accepted, Answer, Capabilities, JobPage, JobStatus, Readiness
from .problem import OK_RANGE
from .receivers import BodyParser, FileReceiver, MemoryReceiver, Receiver, verify_content

T = TypeVar("T")
AnswerT = TypeVar("AnswerT", bound=Answer)
FILE = "file"
IDENTITY_ENCODING = {"Accept-Encoding": "identity"}


class ImageOptions(TypedDict, total=False):
    """What every image that is sent may come with.

    `format`, `quality` and `background` are the gateway's form fields; `name` labels bytes and streams; `progress` is
    told what has been sent. `idempotency_key` is made when it is not given, once for all attempts of the call.
    """

    format: str
    quality: int
    background: str
    name: str
    idempotency_key: str
    progress: ProgressCallback


@dataclass(frozen=True, kw_only=True)
class Call(Generic[T]):
    """One request, to be sent until it succeeds or patience ends, and how its answer is received."""

    method: str
    path: str
    receive: Callable[[httpx.Response], Receiver[T]]
    query: Mapping[str, str | int | float] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] | None = None
    image: ReopenableFile | None = None
    server_wait_seconds: float = 0.0
    """Seconds that the gateway takes its time for, on purpose."""
    is_idempotent: bool = True
    """Whether it may be sent again though it is not known what became of it."""

    @contextmanager
    def open_request(self) -> Iterator[dict[str, Any]]:
        """Yield what httpx builds the request of, for one attempt: files are open until it is over."""
        file = self.image.open_with_progress() if self.image else None
        try:
            yield self._request(file)
        finally:
            if file:
                file.close()

    def _request(self, file: BinaryIO | None) -> dict[str, Any]:
        request = {"method": self.method, "url": self.path, "params": self.query, "headers": self.headers}
        if self.form is None:
            return request
        # A field as a part without a file name: httpx sends a form as multipart only if it has such parts.
        parts: list[tuple[str, Any]] = [(name, (None, value)) for name, value in self.form.items()]
        if file and self.image:
            parts.append((FILE, (self.image.name, file, "application/octet-stream")))
        return request | {"files": parts}


def upload(file: File, *, animated: bool = False, **options: Unpack[ImageOptions]) -> Call[Accepted]:
    """Upload an image: a path, bytes or a binary stream. Its previews are made behind the answer."""
    return _post("/upload", file, options, animated=animated or None)


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
    """Cut a box out of an image, or out of an earlier job's: in pixels, or the largest centred one of an aspect."""
    box = {"left": left, "top": top, "width": width, "height": height, "aspect": aspect}
    return _post("/crop", file, options, source_task_id=source_task_id, **box)


def grayscale(
    file: File | None = None, *, source_task_id: str | None = None, **options: Unpack[ImageOptions]
) -> Call[Accepted]:
    """Turn an image grey, or an earlier job's."""
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
    """Bring an image, or an earlier job's, to a box: `fit` is contain, cover, fill or inside."""
    box = {"width": width, "height": height, "fit": fit, "enlarge": enlarge or None}
    return _post("/resize", file, options, source_task_id=source_task_id, **box)


def status(task_id: str, *, wait: float = 0.0) -> Call[JobStatus]:
    """Return the whole job; with `wait`, once it has ended or that many seconds (60 at most) are over."""
    query = {"wait": wait} if wait else {}
    return Call(
        method="GET",
        path=f"/task-status/{_segment(task_id)}",
        query=query,
        server_wait_seconds=wait,
        receive=_json_receiver(JobStatus),
    )


def status_if_changed(task_id: str, *, etag: str | None, wait: float) -> Call[tuple[JobStatus | None, str | None]]:
    """Return the job once it is not as it was under `etag`, and its new tag; None for the job if it still is."""

    def read(answer: httpx.Response, content: bytes) -> tuple[JobStatus | None, str | None]:
        same = answer.status_code == HTTPStatus.NOT_MODIFIED
        return None if same else JobStatus.model_validate_json(content), answer.headers.get("etag")

    return Call(
        method="GET",
        path=f"/task-status/{_segment(task_id)}",
        query={"wait": wait},
        headers={"If-None-Match": etag} if etag else {},
        server_wait_seconds=wait,
        receive=lambda answer: MemoryReceiver(answer, read, accepted_statuses=frozenset({HTTPStatus.NOT_MODIFIED})),
    )


def job_page(
    *, status: str | None = None, kind: str | None = None, cursor: str | None = None, limit: int = 100
) -> Call[JobPage]:
    """Return one page of the list of jobs, the youngest first; `cursor` is `next` of the page before."""
    asked = {"status": status, "kind": kind, "cursor": cursor, "limit": limit}
    query = {name: value for name, value in asked.items() if value is not None}
    return Call(method="GET", path="/jobs", query=query, receive=_json_receiver(JobPage))


def result(task_id: str, rendition: str | None = None) -> Call[bytes]:
    """Return the bytes of a rendition, by default the job's main one, compared with their digest."""
    path = _result_path(task_id, rendition)
    return Call(
        method="GET",
        path=path,
        headers=IDENTITY_ENCODING,
        receive=lambda answer: MemoryReceiver(answer, verify_content),
    )


def save_result(task_id: str, path: Path | str | None = None, rendition: str | None = None) -> Call[Path]:
    """Write a rendition to a file, which appears under its name only once its bytes are compared with their digest.

    Without a path, or in a folder, the gateway's name for it is used, such as photo-small.jpg. Then no file is
    overwritten: where other bytes have the name, the file becomes photo-small (2).jpg.
    """
    place = Path() if path is None else Path(path)

    def receive(answer: httpx.Response) -> Receiver[Path]:
        if answer.status_code not in OK_RANGE:
            return MemoryReceiver(answer, lambda *_: place)
        return (
            FileReceiver(answer, place / filename_of(answer), overwrite=False)
            if place.is_dir()
            else FileReceiver(answer, place)
        )

    return Call(method="GET", path=_result_path(task_id, rendition), headers=IDENTITY_ENCODING, receive=receive)


def retry(task_id: str) -> Call[Accepted]:
    """Try a dead job again from the stage it died in."""
    path = f"/jobs/{_segment(task_id)}/retry"
    return Call(
        method="POST",
        path=path,
        headers=_idempotency_headers(None),
        is_idempotent=False,
        receive=_json_receiver(Accepted),
    )


def delete(task_id: str) -> Call[None]:
    """Cancel a job that runs; remove one that has ended."""
    path = f"/jobs/{_segment(task_id)}"
    # Not idempotent: the second of two would remove what the first has cancelled.
    return Call(
        method="DELETE", path=path, is_idempotent=False, receive=lambda answer: MemoryReceiver(answer, lambda *_: None)
    )


def capabilities() -> Call[Capabilities]:
    """Return the limits and formats in force."""
    return Call(method="GET", path="/capabilities", receive=_json_receiver(Capabilities))


def health() -> Call[Readiness]:
    """Return whether uploads are taken; that they are not is an answer too, and no `Problem`."""
    accepted_statuses = frozenset({HTTPStatus.SERVICE_UNAVAILABLE})
    return Call(
        method="GET",
        path="/readyz",
        receive=lambda answer: MemoryReceiver(answer, _json_parser(Readiness), accepted_statuses=accepted_statuses),
    )


def _post(path: str, file: File | None, options: ImageOptions, **fields: object) -> Call[Accepted]:
    if unknown := options.keys() - ImageOptions.__annotations__.keys():
        raise TypeError(f"{path[1:]}() got an unexpected keyword argument {min(unknown)!r}")
    output = {name: options.get(name) for name in ("format", "quality", "background")}
    form = {name: _encode_value(value) for name, value in (output | fields).items() if value is not None}
    image = (
        file if file is None else ReopenableFile.of(file, name=options.get("name"), progress=options.get("progress"))
    )
    headers = _idempotency_headers(options.get("idempotency_key"))
    return Call(method="POST", path=path, headers=headers, form=form, image=image, receive=_json_receiver(Accepted))


def _idempotency_headers(key: str | None) -> dict[str, str]:
    return {"Idempotency-Key": key or str(uuid4())}


def _encode_value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _json_receiver(shape: type[AnswerT]) -> Callable[[httpx.Response], Receiver[AnswerT]]:
    return lambda answer: MemoryReceiver(answer, _json_parser(shape))


def _json_parser(shape: type[AnswerT]) -> BodyParser[AnswerT]:
    return lambda _, content: shape.model_validate_json(content)


def _result_path(task_id: str, rendition: str | None) -> str:
    path = f"/result/{_segment(task_id)}"
    return path if rendition is None else f"{path}/{_segment(rendition)}"


def _segment(text: str) -> str:
    """Keep what a caller calls an id from being read as more than one step of a path."""
    return quote(text, safe="")
