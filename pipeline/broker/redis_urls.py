"""Addresses of Redis: one server, one behind TLS, or the master that sentinels name; read once, for every client.

    redis://[user:password@]host[:6379][/0]
    rediss://…?ssl_ca_certs=/path            over TLS; certificate and name are checked, unless ssl_cert_reqs=none
    sentinel://[user:password@]a[:26379],b[:26379][/0][?master_name=mymaster]

User and password are the server's; sentinels that want some have `sentinel_username` and `sentinel_password`. Any
`ssl_…` in a `sentinel://` address puts both behind TLS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.sentinel import Sentinel

from pipeline.broker.redis_connections import raise_connection_error_when_closed

SCHEMES = ("redis", "rediss", "sentinel")
IN_MEMORY = "memory"  # kombu's own broker, for unit tests
MASTER_NAME = "mymaster"  # in the sample configuration of every sentinel
SENTINEL_PORT = 26379
SENTINEL_OPTIONS = ("socket_timeout", "socket_connect_timeout", "retry")
STRICTNESS = ("none", "optional", "required")


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """An address that can be read; ValueError, which does not repeat it, for one that cannot."""

    text: str

    def __post_init__(self) -> None:
        """Refuse what no client could use."""
        if self._parts.scheme not in (*SCHEMES, IN_MEMORY):
            begins = "://, ".join(SCHEMES)
            raise ValueError(f"messages go over Redis, unless broker_url is set: its address begins with {begins}://")
        if self.is_sentinel:
            _ = self.sentinels, self.database
        if self.tls and self.tls["ssl_cert_reqs"] not in STRICTNESS:
            raise ValueError(f"ssl_cert_reqs is one of {', '.join(STRICTNESS)}")

    @property
    def is_sentinel(self) -> bool:
        """Whether sentinels are to be asked where the server is."""
        return self._parts.scheme == "sentinel"

    @property
    def database(self) -> int:
        """The number of the database."""
        path = self._parts.path.strip("/")
        if not (path or "0").isdecimal():
            raise ValueError(f"names no database by number, but {path!r}")
        return int(path or 0)

    @property
    def tls(self) -> dict[str, Any]:
        """What redis-py is to be told of TLS; empty without it. kombu's own defaults would check nothing."""
        found: dict[str, Any] = {name: value for name, value in self._query.items() if name.startswith("ssl_")}
        if self._parts.scheme != "rediss" and not (self.is_sentinel and found):
            return {}
        found["ssl_cert_reqs"] = found.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")
        if "ssl_check_hostname" in found:
            found["ssl_check_hostname"] = found["ssl_check_hostname"].lower() not in {"false", "0", "no"}
        return found

    @property
    def sentinels(self) -> list[tuple[str, int]]:
        """Host and port of each sentinel."""
        split = [urlsplit(f"//{node}") for node in self._parts.netloc.rpartition("@")[2].split(",")]
        if not all(each.hostname for each in split):
            raise ValueError("sentinel:// names its sentinels by host, with commas between them")
        return [(each.hostname or "", each.port or SENTINEL_PORT) for each in split]

    @property
    def master_name(self) -> str:
        """The name by which sentinels know the server."""
        return self._query.get("master_name", MASTER_NAME)

    def with_database(self, number: int) -> str:
        """Return the address of another database on the same server."""
        return urlunsplit(self._parts._replace(path=f"/{number}"))

    def for_redis_py(self) -> str:
        """Return the address as redis-py reads it; not for sentinels."""
        if not self.tls:
            return self.text
        return urlunsplit(self._parts._replace(query=urlencode(self._query | self.tls)))

    def for_kombu(self) -> str:
        """Return the address as kombu and Celery read it: without TLS, which they take from their settings."""
        if not self.is_sentinel:
            rest = {name: value for name, value in self._query.items() if not name.startswith("ssl_")}
            return urlunsplit(self._parts._replace(query=urlencode(rest))) if self.tls else self.text
        credentials = self._parts.netloc.rpartition("@")[0]
        who = f"{credentials}@" if credentials else ""
        nodes = [(f"[{host}]" if ":" in host else quote(host), port) for host, port in self.sentinels]
        return ";".join(f"sentinel://{who}{host}:{port}/{self.database}" for host, port in nodes)

    def transport_options(self, **options: Any) -> dict[str, Any]:
        """Return what kombu and Celery need beside the address; `options` are those of connections."""
        if not self.is_sentinel:
            return {}
        return {"master_name": self.master_name, "sentinel_kwargs": self._sentinel_options(options)}

    def open(self, **options: Any) -> Redis:
        """Return a client, which connects when it is first used; `options` are redis-py's, of connections."""
        if not self.is_sentinel:
            return Redis.from_url(self.for_redis_py(), **options)
        found: Redis = self._master(Sentinel, options)
        return found

    def open_async(self, **options: Any) -> AsyncRedis:
        """Return such a client for an event loop."""
        if not self.is_sentinel:
            return raise_connection_error_when_closed(AsyncRedis.from_url(self.for_redis_py(), **options))
        return raise_connection_error_when_closed(self._master(AsyncSentinel, options))

    def _master(self, sentinel: Any, options: dict[str, Any]) -> Any:
        asked = sentinel(
            self.sentinels, sentinel_kwargs=self._sentinel_options(options), **self._server_options(options)
        )
        return asked.master_for(self.master_name)

    def _server_options(self, options: dict[str, Any]) -> dict[str, Any]:
        name, _, password = self._parts.netloc.rpartition("@")[0].partition(":")
        credentials = {"username": unquote(name) or None, "password": unquote(password) or None}
        return options | credentials | {"db": self.database} | ({"ssl": True} | self.tls if self.tls else {})

    def _sentinel_options(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return how to ask a sentinel: as patiently as the server, or one that hangs holds up all that follows."""
        asked = {name: options[name] for name in SENTINEL_OPTIONS if name in options}
        credentials = {
            name.removeprefix("sentinel_"): self._query[name]
            for name in ("sentinel_username", "sentinel_password")
            if name in self._query
        }
        return asked | credentials | ({"ssl": True} | self.tls if self.tls else {})

    @property
    def _parts(self) -> SplitResult:
        """Split the address; of several nodes by hand: Pythons of late refuse brackets that are not around all."""
        scheme, _, rest = self.text.partition("://")
        if scheme != "sentinel":
            return urlsplit(self.text)
        nodes = re.split("[/?#]", rest, maxsplit=1)[0]
        return urlsplit(f"sentinel://{rest[len(nodes) :]}")._replace(netloc=nodes)

    @property
    def _query(self) -> dict[str, str]:
        return dict(parse_qsl(self._parts.query))
