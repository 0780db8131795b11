"""Problem: the exception for an answer that is not a success."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx

OK_RANGE = range(200, 300)
UNREADABLE = "unreadable_answer"


class Problem(Exception):
    """An answer that is not a success.

    - `status`: the HTTP status.
    - `code`: the stable name of the problem. If the answer has none, such as a proxy's, it is derived from the status.
    - `detail`: a sentence for people.
    - `errors`: every broken rule of the request.
    - `retry_after`: the seconds to wait before the next attempt; None if the answer does not say.
    - `document`: the whole problem document (RFC 9457).
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        retry_after: float | None = None,
        document: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(status, code, detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = list(errors)
        self.retry_after = retry_after
        self.document = dict(document or {"status": status, "code": code, "detail": detail})

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.detail}"

    @classmethod
    def of(cls, answer: httpx.Response, content: bytes) -> Problem:
        """Return the problem of an answer that is not a success, from the gateway or from a proxy before it."""
        status, phrase = answer.status_code, _phrase(answer)
        document = _document(content)
        errors = document.get("errors")
        return cls(
            status,
            str(document.get("code") or phrase.lower().replace(" ", "_")),
            str(document.get("detail") or document.get("title") or _sentence(answer, phrase)),
            errors=[error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else (),
            retry_after=retry_after(answer.headers.get("retry-after"), now=datetime.now(UTC)),
            document=document or None,
        )

    @classmethod
    def from_unreadable(cls, answer: httpx.Response, reason: object) -> Problem:
        """Return the problem of a success that cannot be parsed: the server may not be Darkroom."""
        detail = f"The answer of {answer.url} is not a Darkroom answer: {reason}"
        return cls(answer.status_code, UNREADABLE, detail)


def retry_after(header: str | None, *, now: datetime) -> float | None:
    """Return the seconds of a Retry-After, in either of its forms (RFC 9110, section 10.2.3); None if it is invalid."""
    text = (header or "").strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        time = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (time.replace(tzinfo=time.tzinfo or UTC) - now).total_seconds())


def _phrase(answer: httpx.Response) -> str:
    try:
        return HTTPStatus(answer.status_code).phrase
    except ValueError:
        return f"HTTP {answer.status_code}"


def _sentence(answer: httpx.Response, phrase: str) -> str:
    return f"{phrase}: {answer.headers['location']}" if answer.has_redirect_location else f"{phrase}."


def _document(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
