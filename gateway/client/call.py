"""Call: one request to the gateway as a value, and the receiver of its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Generic, TypeVar

import httpx

from .deadline import answer_within
from .files import ReopenableFile
from .problem import Problem
from .receivers import Receiver

T = TypeVar("T")
FILE_FIELD = "file"
DOCUMENT_SECONDS = 60.0
"""The longest time of a JSON document: a page of 100 jobs (0.8 MB) needs it at 110 kbit/s."""
RESULT_SECONDS = 3600.0
"""The longest time of a result: 200 MB, the largest with the default limits, need it at 450 kbit/s."""


@dataclass(frozen=True, kw_only=True)
class Call(Generic[T]):
    """One request, which a client may send several times, and the receiver of its answer."""

    method: str
    path: str
    receive: Callable[[httpx.Response], Receiver[T]]
    query: Mapping[str, str | int | float | Sequence[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] | None = None
    document: Mapping[str, Any] | None = None
    """A JSON document to send instead of a form."""
    image: ReopenableFile | None = None
    server_wait_seconds: float = 0.0
    """How long the gateway may wait on purpose before it answers (long poll). Added to the read timeout."""
    answer_seconds: float = DOCUMENT_SECONDS
    """How long the whole answer may take, after the request is sent. `server_wait_seconds` are added."""
    is_idempotent: bool = True
    """Whether the request may be sent again when it is unknown whether the gateway has acted on it."""

    @property
    def follows_redirects(self) -> bool:
        """Whether the client follows a redirect, such as one to an object store. It sends no photo elsewhere."""
        return self.method == "GET"

    def answer_within(self) -> AbstractContextManager[None]:
        """Bound the time of the answer inside the block. Raises `AnswerTooSlow`."""
        return answer_within(self.answer_seconds + self.server_wait_seconds)

    def open_receiver(self, answer: httpx.Response) -> Receiver[T]:
        """Return the receiver of an answer. Raises `Problem` if it is compressed: a small one could fill the memory."""
        if answer.headers.get("content-encoding", "identity").lower() != "identity":
            raise Problem.from_unreadable(answer, "It is compressed, but the client asked for an uncompressed one.")
        return self.receive(answer)

    @contextmanager
    def open_request(self) -> Iterator[dict[str, Any]]:
        """Yield httpx's arguments for one attempt. The file is open inside the block."""
        file = self.image.open_with_progress() if self.image else None
        try:
            yield self._request(file)
        finally:
            if file:
                file.close()

    def _request(self, file: BinaryIO | None) -> dict[str, Any]:
        request = {"method": self.method, "url": self.path, "params": self.query, "headers": self.headers}
        if self.document is not None:
            return request | {"json": self.document}
        if self.form is None:
            return request
        # Each field is a part without a file name: httpx sends a form without files as multipart only in this way.
        parts: list[tuple[str, Any]] = [(name, (None, value)) for name, value in self.form.items()]
        if file and self.image:
            parts.append((FILE_FIELD, (self.image.name, file, "application/octet-stream")))
        return request | {"files": parts}
