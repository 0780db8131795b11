"""The way to a target: straight to an address that the guard has checked, or through the proxy of the settings."""

from __future__ import annotations

import socket
import ssl
from functools import cached_property

from pipeline.outbound.connection import connect, start_tls
from pipeline.outbound.deadline import Deadline
from pipeline.outbound.errors import OutboundFailed
from pipeline.outbound.exchange import Exchange
from pipeline.outbound.guard import Guard
from pipeline.outbound.lookup import Resolve, look_up
from pipeline.outbound.proxy import Proxy, parse_proxy
from pipeline.outbound.urls import Target
from pipeline.outbound_settings import OutboundSettings


class Route:
    """Opens connections, each to a target that is checked before and after its name is looked up, once."""

    def __init__(self, settings: OutboundSettings, resolve: Resolve) -> None:
        self._guard = Guard(settings)
        self._proxy = parse_proxy(settings.proxy)
        self._resolve = resolve

    def forwarding_proxy(self, target: Target) -> Proxy | None:
        """Return the proxy that gets the request itself: for http. For https it gets a tunnel."""
        return self._proxy if target.scheme == "http" else None

    def open(self, target: Target, deadline: Deadline) -> socket.socket:
        """Connect to the target, or to the proxy for it. Raises OutboundError."""
        self._guard.check_target(target)
        sock = self._open_straight(target, deadline) if self._proxy is None else self._open_proxy(target, deadline)
        if target.scheme == "http":
            return sock
        return start_tls(sock, str(target.host), context=self._tls, deadline=deadline)

    def _open_straight(self, target: Target, deadline: Deadline) -> socket.socket:
        addresses = look_up(target.host, target.port, deadline=deadline, resolve=self._resolve)
        self._guard.check_resolved(target, addresses)
        return connect(addresses, target.port, deadline=deadline)

    def _open_proxy(self, target: Target, deadline: Deadline) -> socket.socket:
        assert self._proxy  # noqa: S101  # for the type checker
        addresses = look_up(self._proxy.host, self._proxy.port, deadline=deadline, resolve=self._resolve)
        sock = connect(addresses, self._proxy.port, deadline=deadline)
        try:
            if target.scheme != "http":
                _open_tunnel(sock, self._proxy, target, deadline)
        except BaseException:
            sock.close()
            raise
        return sock

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """The system's authorities, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`."""
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        return context


def _open_tunnel(sock: socket.socket, proxy: Proxy, target: Target, deadline: Deadline) -> None:
    """Have the proxy connect to the host. It answers for which addresses that may be."""
    place = f"{target.host_text}:{target.port}"
    exchange = Exchange(sock, deadline)
    exchange.send("CONNECT", place, {"host": place, **proxy.headers})
    status = exchange.receive_head().status_code
    if not 200 <= status < 300:  # noqa: PLR2004  # success
        raise OutboundFailed(f"The proxy did not connect to the host: status {status}.")
