"""The proxy for all that goes out, if the settings name one."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from pipeline.outbound.addresses import IpAddress
from pipeline.outbound.hosts import parse_host

EXAMPLE = "such as http://proxy.internal:3128"


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy, and the value of `Proxy-Authorization` for it."""

    host: str | IpAddress
    port: int
    authorization: str | None = field(default=None, repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """What the proxy needs to let requests through."""
        return {"proxy-authorization": self.authorization} if self.authorization else {}


def parse_proxy(url: str) -> Proxy | None:
    """Read the setting; None if it is empty. ValueError says how to write it, without the value."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        host, port = parts.netloc.rpartition("@")[2], parts.port
        name = parse_host(host.removesuffix(f":{port}"))
    except ValueError:
        raise ValueError(f"should name the host and the port of the proxy, {EXAMPLE}") from None
    if parts.scheme != "http" or not port or parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError(f"should be the http:// address of a proxy with its port, {EXAMPLE}")
    return Proxy(name, port, _encode_credentials(parts.username, parts.password))


def _encode_credentials(user: str | None, password: str | None) -> str | None:
    if user is None:
        return None
    return "Basic " + b64encode(f"{unquote(user)}:{unquote(password or '')}".encode()).decode()


def check_proxy(url: str) -> str:
    """Return the setting. ValueError says how to write it."""
    parse_proxy(url)
    return url
