"""The file at a URL, as it is fetched: a connection that breaks is continued with a range, if the file is the same."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from time import monotonic

from pipeline.outbound.client import Download, OutboundClient
from pipeline.outbound.errors import OutboundError, OutboundRefused, OutboundTimeout
from pipeline.outbound_settings import FetchSettings
from stages.errors import FetchFailed, FetchRefused, FetchTimeout, FetchTooLarge, TemporaryError

MAX_CONNECTIONS = 5
"""Connections of one run. When the last one breaks, the stage is retried after a wait."""
TEMPORARY_STATUSES = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
"""Statuses below 500 by which a server says that a later request may succeed."""
OTHER_FILE_STATUSES = frozenset(
    {HTTPStatus.OK, HTTPStatus.PRECONDITION_FAILED, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}
)
"""Statuses of answers to a range when there is another file now, or when the server knows no ranges."""
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.ASCII)
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)


class StartOver(Exception):
    """What was received cannot be continued: read the chunks again, from the first byte."""


@dataclass(frozen=True, slots=True)
class Validator:
    """What tells one version of a file from another: a header of the answers, and its value."""

    header: str
    value: str

    @classmethod
    def of(cls, download: Download) -> Validator | None:
        """Return the strong validator of an answer, or None (RFC 9110, section 8.8). It is in ASCII, as it is sent."""
        etag = download.headers.get("etag", "")
        if re.fullmatch(r'"[!#-~]*"', etag):
            return cls("etag", etag)
        modified = download.headers.get("last-modified", "")
        return cls("last-modified", modified) if _is_strong(modified, download.headers.get("date", "")) else None

    def is_of(self, download: Download) -> bool:
        """Whether an answer has this validator."""
        return download.headers.get(self.header) == self.value


class FetchedUrl:
    """One file at a URL, for one run of the stage."""

    def __init__(
        self, url: str, client: OutboundClient, settings: FetchSettings, *, seconds: float, max_bytes: int
    ) -> None:
        """Connect to nothing yet. `seconds` is for all connections together."""
        self._url = url
        self._client = client
        self._settings = settings
        self._deadline = monotonic() + seconds
        self._max_bytes = max_bytes
        self._connections = 0
        self._received = 0
        self._total: int | None = None
        self._validator: Validator | None = None
        self.is_compressed = False
        """Whether the last answer had a Content-Encoding."""

    def chunks(self) -> Generator[bytes]:
        """Yield the whole file. Raises `StartOver`, a `StageError` or `TemporaryError`."""
        self._received, self._total, self._validator = 0, None, None
        while True:
            try:
                yield from self._read_connection()
            except OutboundRefused as error:
                raise FetchRefused(error.reason) from error
            except OutboundError as error:
                self._check_can_continue(error)
            else:
                return

    def _read_connection(self) -> Generator[bytes]:
        """Yield what one connection gives: the file from its first byte, or from where the last connection broke."""
        self._connections += 1
        settings = self._settings
        with self._client.get(
            self._url,
            headers=self._range_headers(),
            seconds=self._deadline - monotonic(),
            idle_seconds=settings.idle_timeout,
            max_redirects=settings.max_redirects,
        ) as download:
            if self._received:
                self._check_continuation(download)
            else:
                self._begin(download)
            for chunk in download.chunks():
                self._received += len(chunk)
                yield chunk

    def _range_headers(self) -> dict[str, str]:
        if not self._received or self._validator is None:
            return {}
        return {"range": f"bytes={self._received}-", "if-range": self._validator.value}

    def _begin(self, download: Download) -> None:
        """Check the first answer, and keep what a later one must have in common with it."""
        _check_status(download, HTTPStatus.OK)
        length = download.headers.get("content-length", "")
        self._total = int(length) if _NUMBER.fullmatch(length) else None
        if self._total is not None and self._total > self._max_bytes:
            raise FetchTooLarge
        self._validator = Validator.of(download)
        self.is_compressed = download.headers.get("content-encoding", "identity").lower() != "identity"

    def _check_continuation(self, download: Download) -> None:
        """Check that an answer to a range begins where the last one broke, in the same file."""
        if download.status in {
            HTTPStatus.OK,
            HTTPStatus.PRECONDITION_FAILED,
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
        }:
            raise StartOver  # there is another file now, or the server knows no ranges
        _check_status(download, HTTPStatus.PARTIAL_CONTENT)
        found = _CONTENT_RANGE.fullmatch(download.headers.get("content-range", ""))
        start, end, total = map(int, found.groups()) if found else (-1, -1, -1)
        is_same = self._validator is not None and self._validator.is_of(download) and self._total in {None, total}
        if not is_same or start != self._received or end + 1 != total:
            raise StartOver

    def _check_can_continue(self, error: OutboundError) -> None:
        """Return if the connection that broke can be continued; `StartOver` if the file can be read again."""
        is_over = monotonic() >= self._deadline or self._connections >= MAX_CONNECTIONS
        if is_over or not self._received:
            refusal = FetchTimeout() if isinstance(error, OutboundTimeout) else FetchFailed(error.reason)
            raise TemporaryError(refusal, detail=type(error).__name__) from error
        if self._validator is None:
            raise StartOver from error


def _check_status(download: Download, expected: HTTPStatus) -> None:
    status = download.status
    if status == expected:
        return
    refusal = FetchFailed(f"The server answered {status}.")
    if status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in TEMPORARY_STATUSES:
        raise refusal
    wait = download.headers.get("retry-after", "")
    seconds = float(wait) if _NUMBER.fullmatch(wait) else 0.0
    raise TemporaryError(refusal, detail=f"status {status}", retry_after_seconds=seconds)


def _is_strong(modified: str, date: str) -> bool:
    """Whether no second version can have the same Last-Modified: the answer is a second older (section 8.8.2.2)."""
    if not modified.isascii():
        return False
    try:
        return (parsedate_to_datetime(date) - parsedate_to_datetime(modified)).total_seconds() >= 1
    except (TypeError, ValueError, OverflowError):  # missing, malformed, or only one has a time zone
        return False
