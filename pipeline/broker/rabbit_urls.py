"""URLs of RabbitMQ: checked at start, and translated for kombu.

    amqp://user:password@host[:5672][/virtual-host]
    amqps://…?ssl_ca_certs=/path            over TLS; certificate and host name are checked, unless ssl_cert_reqs=none

A host may resolve to several addresses, such as the nodes of a cluster: they are tried one after another.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit, urlunsplit

SCHEMES = ("amqp", "amqps")
CERT_REQS = {"none": ssl.CERT_NONE, "required": ssl.CERT_REQUIRED}
TLS_FILES = {"ssl_ca_certs": "ca_certs", "ssl_certfile": "certfile", "ssl_keyfile": "keyfile"}
"""TLS parameters of a URL besides `ssl_cert_reqs`, with their names in py-amqp."""


@dataclass(frozen=True, slots=True)
class RabbitUrl:
    """A valid URL; ValueError for an invalid one, with a message that does not contain the URL and its password."""

    text: str = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse a URL that no client can use."""
        if self._parts.scheme not in SCHEMES:
            raise ValueError("must begin with amqp:// or amqps://, or be empty to send messages over Redis")
        if not self._has_valid_host():
            raise ValueError(
                "cannot be read: in a name or password, write %2F for /, %23 for #, %3F for ? and %40 for @"
            )
        if not (self._parts.username and self._parts.password):
            raise ValueError("needs a user and password: amqp://user:password@host/virtual-host")
        allowed = {"ssl_cert_reqs", *TLS_FILES} if self.is_tls else set[str]()
        if unknown := set(self._query) - allowed:
            raise ValueError(f"has unknown parameters for {self._parts.scheme}: {', '.join(sorted(unknown))}")
        if self._cert_reqs not in CERT_REQS:
            raise ValueError(f"ssl_cert_reqs must be one of {', '.join(CERT_REQS)}")

    @property
    def is_tls(self) -> bool:
        """Whether connections use TLS."""
        return self._parts.scheme == "amqps"

    @property
    def tls(self) -> dict[str, Any]:
        """TLS options for py-amqp; empty without TLS. py-amqp checks the host name only when it is given one."""
        if not self.is_tls:
            return {}
        files = {option: self._query[parameter] for parameter, option in TLS_FILES.items() if parameter in self._query}
        is_checked = self._cert_reqs != "none"
        return {
            "cert_reqs": CERT_REQS[self._cert_reqs],
            **({"server_hostname": self._parts.hostname} if is_checked else {}),
            **files,
        }

    def for_kombu(self) -> str:
        """Return the URL for kombu: without the TLS parameters, which kombu takes from the settings."""
        return urlunsplit(self._parts._replace(query="", fragment=""))

    def _has_valid_host(self) -> bool:
        """Whether there is a host, and a numeric port or none. An unescaped / in the password cuts the host off."""
        try:
            port = self._parts.port
        except ValueError:
            return False
        return bool(self._parts.hostname) and port != 0 and not self._parts.fragment

    @property
    def _cert_reqs(self) -> str:
        return self._query.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")

    @property
    def _parts(self) -> SplitResult:
        return urlsplit(self.text)

    @property
    def _query(self) -> dict[str, str]:
        return dict(parse_qsl(self._parts.query, keep_blank_values=True))
