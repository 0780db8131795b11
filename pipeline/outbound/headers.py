"""Header fields of requests and answers."""

from __future__ import annotations

from collections.abc import Mapping

import h11

from pipeline.outbound.urls import Target
from pipeline.version import VERSION

HEADERS_FOR_OTHERS = {"accept", "accept-language", "user-agent", "range", "if-range"}
"""What a redirect to another server gets of the caller's header fields: also a range, to continue what it has sent."""
OWN_HEADERS = {
    "host", "connection", "content-length", "transfer-encoding", "expect", "upgrade", "te", "trailer",
    "accept-encoding", "proxy-authorization",
}  # fmt: skip
"""What the caller cannot set: the framing of the request, and that answers are not to be compressed."""


def complete_headers(target: Target, headers: Mapping[str, str], *, content: bytes | None) -> dict[str, str]:
    """Return the fields of a request, with names in lower case."""
    given = {name.lower(): value for name, value in headers.items()}
    return {
        "host": target.authority,
        "user-agent": f"Darkroom/{VERSION}",
        "accept": "*/*",
        **{name: value for name, value in given.items() if name not in OWN_HEADERS},
        **({} if content is None else {"content-length": str(len(content))}),
        "accept-encoding": "identity",
        "connection": "close",
    }


def keep_for_others(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the fields that another server than the first may see."""
    return {name: value for name, value in headers.items() if name.lower() in HEADERS_FOR_OTHERS}


def read_headers(head: h11.Response) -> dict[str, str]:
    """Return the fields of an answer, with names in lower case; values of a repeated one are joined with commas."""
    fields: dict[str, str] = {}
    for raw_name, raw_value in head.headers:
        name, value = raw_name.decode("ascii"), _decode(raw_value)
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


def _decode(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
