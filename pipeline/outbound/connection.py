"""Opens connections to addresses that have been checked. Nothing here looks a name up."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence

from pipeline.outbound.addresses import IpAddress
from pipeline.outbound.deadline import Deadline
from pipeline.outbound.errors import OutboundFailed, OutboundTimeout

MAX_TRIES = 6


def connect(addresses: Sequence[IpAddress], port: int, *, deadline: Deadline) -> socket.socket:
    """Connect to the first address that answers, of `MAX_TRIES`. Each gets its share of the time that is left."""
    failure: OSError | None = None
    tries = min(len(addresses), MAX_TRIES)
    for index, ip in enumerate(addresses[:tries]):
        try:
            return _connect_one(ip, port, seconds=deadline.next_wait() / (tries - index))
        except OSError as error:
            failure = error
    if isinstance(failure, TimeoutError):
        raise OutboundTimeout("The host did not answer in time.") from failure
    raise OutboundFailed("The host cannot be connected to.") from failure


def _connect_one(ip: IpAddress, port: int, *, seconds: float) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ip.version == 6 else socket.AF_INET)  # noqa: PLR2004  # the version of IP
    try:
        sock.settimeout(seconds)
        sock.connect((str(ip), port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


def start_tls(sock: socket.socket, host: str, *, context: ssl.SSLContext, deadline: Deadline) -> ssl.SSLSocket:
    """Speak TLS with the host of the URL, whose name or address the certificate must have. Takes the socket over."""
    try:
        sock.settimeout(deadline.next_wait())  # holds for the whole handshake
        return context.wrap_socket(sock, server_hostname=host)
    except TimeoutError as error:
        raise OutboundTimeout("The host did not answer in time.") from error
    except ssl.SSLCertVerificationError as error:
        raise OutboundFailed(f"The certificate of the host is not valid: {error.verify_message}.") from error
    except (OSError, ValueError) as error:
        raise OutboundFailed("The host does not speak TLS as it should.") from error
    finally:
        if sock.fileno() >= 0:  # it is not taken over yet
            sock.close()
