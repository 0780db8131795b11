"""Host names and literal addresses, in the one form in which they are compared, looked up and sent."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

import idna

from pipeline.outbound.addresses import IpAddress

MAX_NAME = 253
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


def parse_host(text: str) -> str | IpAddress:
    """Return a name in lower case, as IDNA (UTS 46) and without the dot at its end, or an address.

    ValueError says what is wrong. `127.1`, `0x7f.1`, `0177.0.0.1` and `2130706433` are refused: what they are depends
    on who reads them. So are `[fe80::1%eth0]` and `%6c%6f`.
    """
    if text.startswith("["):
        return _parse_ipv6(text)
    name = _encode(text).removesuffix(".")
    labels = name.split(".")
    if len(name) > MAX_NAME or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError("should name its host as a name or an address")
    return _parse_ipv4(name) if _NUMBER.fullmatch(labels[-1]) else name


def _encode(text: str) -> str:
    if len(text) > MAX_NAME + 1:
        raise ValueError("should name its host in at most 253 characters")
    if text.isascii():
        return text.lower()
    try:
        return idna.encode(text, uts46=True).decode()
    except idna.IDNAError as error:
        raise ValueError("should name its host as a valid international name") from error


def _parse_ipv4(text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except AddressValueError as error:
        raise ValueError("should write an IPv4 address as four decimal numbers, without zeros before them") from error


def _parse_ipv6(text: str) -> IPv6Address:
    inner = text[1:-1]
    if not text.endswith("]") or "%" in inner:
        raise ValueError("should write an IPv6 address in brackets, without a zone")
    try:
        return IPv6Address(inner)
    except AddressValueError as error:
        raise ValueError("should write a valid IPv6 address in the brackets") from error
