"""Problem documents that the server itself answers with, before or in place of the application."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from gateway.problems import (
    RETRY_AFTER_SECONDS,
    Problem,
    ProblemResponse,
    ShuttingDown,
    TooManyConnections,
    build_response,
)

RETRY_LATER = {"Retry-After": str(RETRY_AFTER_SECONDS)}


def shutting_down() -> ShuttingDown:
    """Return the problem of a request that comes, or is still received, when the server is to stop."""
    detail = "The server is shutting down. Send the request again after the time in Retry-After."
    return ShuttingDown(detail, headers=RETRY_LATER)


def too_many_connections() -> TooManyConnections:
    """Return the problem of a connection for which none of the others can be closed."""
    detail = "The server has as many connections open as it may. Try again after the time in Retry-After."
    return TooManyConnections(detail, headers=RETRY_LATER)


def respond(problem: Problem) -> ProblemResponse:
    """Return a problem as an ASGI application."""
    return build_response(problem.status, problem.code, problem.detail, headers=problem.headers)


def render(problem: Problem) -> bytes:
    """Return a problem as a whole response that ends its connection."""
    response = respond(problem)
    headers = [*response.raw_headers, (b"connection", b"close")]
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    return STATUS_LINE[problem.status] + lines + b"\r\n" + bytes(response.body)
