"""Problem: an answer of the gateway that is not a success, as an exception."""

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
    """The gateway's answer is a problem document (RFC 9457), or none that it gives: then the code is made up here.

    `status` is HTTP's, `code` the stable name, `detail` the sentence, `errors` every rule that was broken,
    `retry_after` the seconds after which to try again, where the gateway says so, `document` all that was answered.
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
        """Read an answer that is not a success, whoever gave it: a proxy in between says less than the gateway."""
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
        """Return the problem of a success that is not one of Darkroom's: there may be another server at the address."""
        detail = f"{answer.url} did not answer as Darkroom does: {reason}"
        return cls(answer.status_code, UNREADABLE, detail)


def retry_after(header: str | None, *, now: datetime) -> float | None:
    """Return the seconds that a Retry-After asks for, in either of its forms (RFC 9110, section 10.2.3)."""
    text = (header or "").strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds())


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
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
