"""Addresses of RabbitMQ: checked at start, and read once for kombu.

    amqp://user:password@host[:5672][/virtual-host]
    amqps://…?ssl_ca_certs=/path            over TLS; certificate and name are checked, unless ssl_cert_reqs=none

A host may have several addresses, such as the nodes of a cluster: one after another is tried.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit, urlunsplit

SCHEMES = ("amqp", "amqps")
STRICTNESS = {"none": ssl.CERT_NONE, "required": ssl.CERT_REQUIRED}
FILES = {"ssl_ca_certs": "ca_certs", "ssl_certfile": "certfile", "ssl_keyfile": "keyfile"}
"""What an address may say of TLS beside `ssl_cert_reqs`, and what py-amqp calls it."""


@dataclass(frozen=True, slots=True)
class RabbitUrl:
    """An address that can be read; ValueError, which does not repeat it, for one that cannot."""

    text: str = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what no client could use."""
        if self._parts.scheme not in SCHEMES:
            raise ValueError("names RabbitMQ, where messages do not go over Redis: it begins with amqp:// or amqps://")
        if not self._can_be_split():
            raise ValueError("cannot be read: in a name or password, / is written %2F, # %23, ? %3F and @ %40")
        if not (self._parts.username and self._parts.password):
            raise ValueError("names no user and password: amqp://user:password@host/virtual-host")
        allowed = {"ssl_cert_reqs", *FILES} if self.is_tls else set[str]()
        if unknown := set(self._query) - allowed:
            raise ValueError(
                f"has parameters that mean nothing with {self._parts.scheme}: {', '.join(sorted(unknown))}"
            )
        if self._strictness not in STRICTNESS:
            raise ValueError(f"has an ssl_cert_reqs that is not one of {', '.join(STRICTNESS)}")

    @property
    def is_tls(self) -> bool:
        """Whether it is spoken to over TLS."""
        return self._parts.scheme == "amqps"

    @property
    def tls(self) -> dict[str, Any]:
        """What py-amqp is to be told of TLS; empty without it. Without a name it would compare none."""
        if not self.is_tls:
            return {}
        named = {name: self._query[each] for each, name in FILES.items() if each in self._query}
        checked = self._strictness != "none"
        return {
            "cert_reqs": STRICTNESS[self._strictness],
            **({"server_hostname": self._parts.hostname} if checked else {}),
            **named,
        }

    def for_kombu(self) -> str:
        """Return the address as kombu reads it: without TLS' parameters, which it takes from the settings."""
        return urlunsplit(self._parts._replace(query="", fragment=""))

    def _can_be_split(self) -> bool:
        """Whether there is a host, and a port that is a number; a password with a / in it ends the host too early."""
        try:
            port = self._parts.port
        except ValueError:
            return False
        return bool(self._parts.hostname) and port != 0 and not self._parts.fragment

    @property
    def _strictness(self) -> str:
        return self._query.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")

    @property
    def _parts(self) -> SplitResult:
        return urlsplit(self.text)

    @property
    def _query(self) -> dict[str, str]:
        return dict(parse_qsl(self._parts.query, keep_blank_values=True))
