"""The one way out for webhooks and imports: HTTP requests to addresses that the guard has checked."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from urllib.parse import urljoin

import h11

from pipeline.outbound.deadline import Deadline
from pipeline.outbound.errors import OutboundError, OutboundRefused
from pipeline.outbound.exchange import Exchange
from pipeline.outbound.headers import complete_headers, keep_for_others, read_headers
from pipeline.outbound.lookup import Resolve
from pipeline.outbound.route import Route
from pipeline.outbound.urls import Target, parse_url
from pipeline.outbound_settings import OutboundSettings

REDIRECTS = {301, 302, 303, 307, 308}
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


@dataclass(frozen=True)
class Answer:
    """A complete answer. Names of header fields are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    """At most `max_answer_bytes`; the rest is not read."""


class Download:
    """An answer whose body is still to be read."""

    def __init__(self, url: str, head: h11.Response, exchange: Exchange) -> None:
        self.url = url
        """Where it comes from, after redirects."""
        self.status = head.status_code
        self.headers: Mapping[str, str] = read_headers(head)
        self._exchange = exchange

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it is on the wire: with a `Content-Encoding`, it is compressed. Its size has no limit."""
        return self._exchange.receive_chunks()


@dataclass(frozen=True)
class _Request:
    target: Target
    headers: Mapping[str, str]
    content: bytes | None = None
    method: str = "GET"
    is_redirect: bool = False


class OutboundClient:
    """Sends requests. Several threads may use it; each request has a connection of its own.

    It uses neither variables such as `HTTPS_PROXY` nor `~/.netrc`, and keeps no cookies.
    """

    def __init__(self, settings: OutboundSettings, *, resolve: Resolve = socket.getaddrinfo) -> None:
        self._route = Route(settings, resolve)

    def post(
        self, url: str, content: bytes, headers: Mapping[str, str], *, seconds: float, max_answer_bytes: int
    ) -> Answer:
        """Send the content and return the answer, also if it is a redirect. Raises OutboundError.

        Of a body that is cut off or takes too long, it is what has come: the status is the answer.
        """
        request = _Request(parse_url(url), headers, content, "POST")
        with self._send(request, Deadline(seconds)) as (head, exchange):
            return Answer(
                head.status_code, read_headers(head), _read_some(exchange.receive_chunks(), max_bytes=max_answer_bytes)
            )

    @contextmanager
    def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        seconds: float,
        idle_seconds: float,
        max_redirects: int,
    ) -> Iterator[Download]:
        """Yield the answer after redirects, each of which is checked like the first address. Raises OutboundError.

        A redirect to another server passes on none of the headers but `HEADERS_FOR_OTHERS`.
        """
        deadline = Deadline(seconds, idle_seconds=idle_seconds)
        request = _Request(parse_url(url), headers or {})
        for _ in range(max_redirects + 1):
            with self._send(request, deadline) as (head, exchange):
                target = _find_redirect(request.target, head)
                if target is None:
                    yield Download(request.target.url, head, exchange)
                    return
            is_same = target.origin == request.target.origin
            headers = request.headers if is_same else keep_for_others(request.headers)
            request = replace(request, target=target, headers=headers, is_redirect=True)
        raise OutboundRefused(f"The address redirects more than {max_redirects} times.")

    @contextmanager
    def _send(self, request: _Request, deadline: Deadline) -> Iterator[tuple[h11.Response, Exchange]]:
        target = request.target
        path, fields = target.path, complete_headers(target, request.headers, content=request.content)
        if proxy := self._route.forwarding_proxy(target):
            path, fields = target.url, fields | proxy.headers
        with closing(self._open(request, deadline)) as sock:
            exchange = Exchange(sock, deadline)
            exchange.send(request.method, path, fields, request.content or b"")
            yield exchange.receive_head(), exchange

    def _open(self, request: _Request, deadline: Deadline) -> socket.socket:
        try:
            return self._route.open(request.target, deadline)
        except OutboundRefused as refusal:
            raise (_refuse_redirect(refusal) if request.is_redirect else refusal) from None


def _refuse_redirect(refusal: OutboundRefused) -> OutboundRefused:
    return OutboundRefused(f"A redirect was refused. {refusal.reason}")


def _find_redirect(target: Target, head: h11.Response) -> Target | None:
    """Return where the answer redirects to, or None. OutboundRefused if that is no address, or http after https."""
    location = read_headers(head).get("location")
    if head.status_code not in REDIRECTS or location is None:
        return None
    try:
        following = parse_url(location if _ABSOLUTE.match(location) else urljoin(target.url, location))
    except ValueError as error:
        raise OutboundRefused("A redirect was refused. It is not a valid address.") from error
    except OutboundRefused as refusal:
        raise _refuse_redirect(refusal) from None
    if target.scheme == "https" and following.scheme != "https":
        raise OutboundRefused("A redirect was refused. It is from https to http.")
    return following


def _read_some(chunks: Iterator[bytes], *, max_bytes: int) -> bytes:
    content = bytearray()
    with suppress(OutboundError):
        for chunk in chunks:
            content += chunk
            if len(content) >= max_bytes:
                break
    return bytes(content[:max_bytes])
