"""How a worker's event loop watches its connections to Redis: what is watched already is not registered again."""

from __future__ import annotations

from typing import Any

from kombu.transport import redis as stock

BINDING_REFRESH_SECONDS = 30.0
"""How often to look whether the queues for Celery's questions to workers must be kept; they live for an hour."""

_Transport: Any = stock.Transport
_register = _Transport.register_with_event_loop


def register_with_event_loop(self: Any, connection: Any, loop: Any) -> None:
    """Register the transport. In kombu, each round of the loop registers each connection with epoll once more.

    kombu also wakes up each second to look whether it has something to do that it does every 20 minutes.
    """
    others = set(loop.on_tick)
    _register(self, connection, loop)
    loop.on_tick.intersection_update(others)
    poller, on_readable = self.cycle, self.on_readable
    poller._binding_expiry_tref.cancel()  # noqa: SLF001
    refresh = poller.maybe_refresh_binding_expiry
    poller._binding_expiry_tref = loop.call_repeatedly(BINDING_REFRESH_SECONDS, refresh)  # noqa: SLF001

    def watch_new_connections() -> None:
        if not poller._paused_brpop and all(map(_is_settled, poller._channels)):  # noqa: SLF001
            return
        poller.on_poll_start()
        for fd in poller.fds:
            callback, _ = loop.readers.get(fd) or (None, None)
            if callback is not on_readable:
                loop.add_reader(fd, on_readable, fd)

    loop.on_tick.add(watch_new_connections)


def _is_settled(channel: Any) -> bool:
    """Whether a channel waits for what it may take, over connections that are open: most rounds change nothing."""
    fanouts, waits, listens = channel.active_fanout_queues, channel._in_poll, channel._in_listen  # noqa: SLF001
    if fanouts and not (listens and listens.is_connected):
        return False
    if len(channel._active_queues) <= len(fanouts):  # noqa: SLF001
        return True
    return bool(waits and waits.is_connected) if channel.qos.can_consume() else not waits
