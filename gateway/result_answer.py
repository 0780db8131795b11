"""Answers with the bytes of a result: whole, in part or not modified, and what caches and pages may do with them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from gateway.byte_ranges import parse_range
from gateway.concurrency_limit import ConcurrencyLimit
from gateway.conditional_requests import evaluate_preconditions
from gateway.middleware import resource_policy
from gateway.middleware.rate_limit import caller_of
from gateway.openapi.errors import errors
from gateway.openapi.headers import answer_headers
from gateway.problems import PreconditionFailed, RangeNotSatisfiable
from gateway.served_results import ServedResult
from pipeline import rendition_headers
from pipeline.http_settings import ResultsSettings
from storage.blobs import Blobs

UNVERSIONED = "private, no-cache"
"""Cache-Control of an address whose result may change: caches keep it, and ask whether it is still the current one."""
IMAGE = {"image/*": {"schema": {"type": "string", "format": "binary"}}}  # generators of clients know bytes by it
HEADERS = ("ETag", "Repr-Digest", "Accept-Ranges", "Content-Disposition", "Cache-Control", "Vary")
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The whole result", "content": IMAGE, "headers": answer_headers(*HEADERS)},
    206: {
        "description": "The bytes that `Range` names",
        "content": IMAGE,
        "headers": answer_headers(*HEADERS, "Content-Range"),
    },
    304: {"description": "The result matches `If-None-Match`", "headers": answer_headers(*HEADERS)},
    307: {
        "description": "The object store has the bytes: fetch them from `Location`. The link expires, and needs no API "
        "key. Only where `DARKROOM_RESULTS__REDIRECT` is set.",
        "headers": answer_headers("Location", "Cache-Control", "Vary"),
    },
    **errors(404, 409, 410, 412, 416),
}


async def hold_download(request: Request) -> AsyncIterator[None]:
    """Count the result until its last byte is sent: FastAPI ends this dependency only then."""
    downloads: ConcurrencyLimit = request.app.state.downloads
    with downloads.hold(caller_of(request.scope)):
        yield


@dataclass(frozen=True, slots=True)
class ResultAnswer:
    """Where the bytes are, and how they get to the client."""

    blobs: Blobs
    settings: ResultsSettings
    is_cross_origin: bool
    """Whether pages of other origins may show them."""

    async def send(self, served: ServedResult, request: Request, *, cache_control: str | None = None) -> Response:
        """Send a result, or the part of it that the request wants. Raises FileNotFoundError if its blob is gone.

        Without `cache_control`, it is private, and may be kept for ever if the address names its version.
        """
        variant, headers = served.variant, self._build_headers(served, cache_control)
        try:
            if evaluate_preconditions(request, headers["ETag"]):
                return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
            byte_range = parse_range(_requested_range(request, headers["ETag"]), variant["bytes"])
        except (PreconditionFailed, RangeNotSatisfiable) as problem:
            problem.headers |= _build_vary(served)
            raise
        start, stop = byte_range or (0, variant["bytes"])
        headers["Content-Length"] = str(stop - start)
        if byte_range:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{variant['bytes']}"
        status = HTTPStatus.PARTIAL_CONTENT if byte_range else HTTPStatus.OK
        if self.settings.redirect:
            return await self._redirect_to_store(served, request)
        content = await self.blobs.stream(variant["blob"], start=start, stop=stop)
        if request.method == "HEAD":
            return Response(status_code=status, headers=headers, media_type=variant["media_type"])
        return StreamingResponse(content, status_code=status, headers=headers, media_type=variant["media_type"])

    async def _redirect_to_store(self, served: ServedResult, request: Request) -> Response:
        """Redirect to the object store. The client repeats its headers and its method, for which the link is signed."""
        method: Literal["GET", "HEAD"] = "HEAD" if request.method == "HEAD" else "GET"
        blob, seconds = served.variant["blob"], self.settings.redirect_seconds
        link = await self.blobs.sign_url(blob, method=method, seconds=seconds)
        policies = self._build_policy() | _build_vary(served)
        headers = {"Location": link, "Cache-Control": "no-store", **policies}  # who has the link can use it
        return Response(status_code=HTTPStatus.TEMPORARY_REDIRECT, headers=headers)

    def _build_headers(self, served: ServedResult, cache_control: str | None) -> dict[str, str]:
        variant = served.variant
        digest = b64encode(bytes.fromhex(variant["sha256"])).decode()
        stored = rendition_headers.headers(served.job, served.rendition, format=variant["format"], dpr=variant["dpr"])
        return {
            "ETag": f'"{variant["sha256"]}"',
            "Repr-Digest": f"sha-256=:{digest}:",
            "Accept-Ranges": "bytes",
            **stored,
            "Cache-Control": cache_control or (stored["Cache-Control"] if served.is_version_known else UNVERSIONED),
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "X-Content-Type-Options": "nosniff",
            **self._build_policy(),
            **_build_vary(served),
        }

    def _build_policy(self) -> dict[str, str]:
        return {resource_policy.HEADER: "cross-origin"} if self.is_cross_origin else {}


def _build_vary(served: ServedResult) -> dict[str, str]:
    return {"Vary": "Accept"} if served.depends_on_accept else {}


def _requested_range(request: Request, etag: str) -> str | None:
    """Return the Range header of a GET; None if If-Range has another ETag, or a date."""
    if request.method != "GET":
        return None
    condition = request.headers.get("if-range")
    return request.headers.get("range") if condition in (None, etag) else None
