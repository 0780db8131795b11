"""The head of a request: what httptools does not check, and how the body behind it is framed (RFC 9112)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.problems import MalformedRequest, MethodNotImplemented

HEAD_END = b"\r\n\r\n"
VERSIONS = ("1.0", "1.1")
CHUNKED = -1
"""The framing of a body whose length the head does not give."""
MAX_LENGTH_DIGITS = 18  # fits into 64 bits

_UPGRADE = re.compile(rb"\r\nupgrade:[^\r]*", re.IGNORECASE)
_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_LENGTH = re.compile(rb"[0-9]{1,%d}" % MAX_LENGTH_DIGITS)

Headers = Sequence[tuple[bytes, bytes]]


def check_line_ends(data: bytes | bytearray, start: int = 0) -> None:
    """Refuse a line that ends without CR or LF: other servers may see the end of the head there."""
    if not data.count(b"\r", start) == data.count(b"\n", start) == data.count(b"\r\n", start):
        raise MalformedRequest("A line of the request does not end with CR LF.")


def remove_upgrade(head: bytes) -> bytes:
    """Return the head without an offer to change the protocol: it is never accepted, and the body follows as usual.

    httptools would take the bytes behind the head for another protocol's.
    """
    if b"\r\n " in head or b"\r\n\t" in head:
        raise MalformedRequest("A header continues on a second line. Send each header on one line.")
    return _UPGRADE.sub(b"", head) if b"upgrade" in head.lower() else head


def read_framing(method: bytes, version: str, headers: Headers) -> int:
    """Return the body's length in bytes, or CHUNKED. Raise `MalformedRequest` if servers could disagree about it."""
    if version not in VERSIONS:
        raise MalformedRequest("The request line must name HTTP/1.1 or HTTP/1.0.")
    if method == b"CONNECT":
        raise MethodNotImplemented("The gateway is not a proxy.")
    _check_host(version, _values(headers, b"host"))
    lengths, encodings = _values(headers, b"content-length"), _values(headers, b"transfer-encoding")
    if encodings:
        if lengths or version == "1.0" or [encoding.strip().lower() for encoding in encodings] != [b"chunked"]:
            raise MalformedRequest(
                "Transfer-Encoding must be chunked, in HTTP/1.1, given once, and without Content-Length."
            )
        return CHUNKED
    if not lengths:
        return 0
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
        raise MalformedRequest("Content-Length must be one number of bytes.")
    return int(lengths[0])


def _check_host(version: str, hosts: Sequence[bytes]) -> None:
    if (version != "1.0" and not hosts) or len(hosts) > 1 or any(not _HOST.fullmatch(host) for host in hosts):
        raise MalformedRequest("The request must have one Host header, with a host name and perhaps a port.")


def _values(headers: Headers, name: bytes) -> list[bytes]:
    return [value for header, value in headers if header == name]
