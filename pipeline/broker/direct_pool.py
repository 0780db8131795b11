"""Celery's pool of child processes with fewer rounds of the event loop for each message.

In Celery, a message that arrives waits in a buffer. The next round of the loop registers the pipe of each idle child
with epoll, the round after that finds them writable, writes the message in two pieces, and removes them again. Each
round without a message removes them once more. Here a message for which a child is idle is written at once.
"""

from __future__ import annotations

from collections.abc import Callable
from select import PIPE_BUF
from time import monotonic
from typing import Any

from celery.concurrency import asynpool, prefork

ACCEPT_SECONDS = 5.0
"""How long a child may take to accept a message that it has, before the pool forgets the message."""
LOOK_SECONDS = 0.1

_ResultHandler: Any = asynpool.ResultHandler
_AsynPool: Any = asynpool.AsynPool
_writer_of: Any = asynpool._get_job_writer  # type: ignore[attr-defined]  # noqa: SLF001


class ReadingOnce(_ResultHandler):  # type: ignore[misc]  # its types lack most of it
    """Reads what children send. A pipe that is read to the end of a message stays registered, as it was."""

    def _make_process_result(self, hub: Any) -> Any:
        readers, add_reader = hub.readers, hub.add_reader

        def keep_reader(fd: int, callback: Any, *args: Any) -> None:
            if readers.get(fd) != (callback, args):
                add_reader(fd, callback, *args)

        return super()._make_process_result(_Loop(keep_reader, hub.remove_reader))


class _Loop:
    """The part of kombu's event loop that Celery's handler uses."""

    def __init__(self, add_reader: Callable[..., None], remove_reader: Callable[[int], None]) -> None:
        self.add_reader, self.remove_reader = add_reader, remove_reader


class WritingAtOnce(_AsynPool):  # type: ignore[misc]
    """Writes a message to an idle child as soon as it arrives."""

    ResultHandler = ReadingOnce
    _quick_put: Any
    on_poll_start: Any

    def _event_process_exit(self, hub: Any, proc: Any) -> None:
        """Replace a child that ends. Its pipe closes a moment before the system says that it has ended.

        In Celery, a child that is looked at in this moment is replaced only by the look that comes every 5 s. Until
        then, nobody runs the message that it had, and the worker has one child less.
        """
        proc.join(timeout=1)
        super()._event_process_exit(hub, proc)

    def _create_write_handlers(self, hub: Any, *args: Any, **options: Any) -> None:
        super()._create_write_handlers(hub, *args, **options)
        buffer, write, register = self._quick_put, hub.consolidate_callback, self.on_poll_start
        children, busy, writing = self._all_inqueues, self._busy_workers, self._active_writes

        def send(task: Any) -> None:
            buffer(task)
            _join_payload(self._cache[task[1][0]])
            idle = next((fd for fd in children if fd not in busy and fd not in writing), None)
            if idle is not None:
                write([idle])

        def register_if_waiting() -> None:
            if self.outbound_buffer or hub.consolidate:
                register()

        self._quick_put, self.on_poll_start = send, register_if_waiting

    def flush(self) -> None:
        """Forget messages, when the worker stops or has lost its broker, but not those that a child runs already.

        Celery forgets a message that it has written if it has not read yet that the child accepts it. A worker that is
        told to stop in this moment never reads the result, for which the child waits 30 s before it ends.
        """
        end = monotonic() + ACCEPT_SECONDS
        for job in list(self._cache.values()):
            if job._write_to is not None:  # noqa: SLF001
                self._finish_writing(job)
                self._wait_until_accepted(job, end)
        super().flush()

    def _finish_writing(self, job: Any) -> None:
        writer = _writer_of(job)
        if writer in self._active_writers:
            self._flush_writer(job._write_to, writer)  # noqa: SLF001

    def _wait_until_accepted(self, job: Any, end: float) -> None:
        handler, child = self._result_handler, job._write_to  # noqa: SLF001
        closed: list[int] = []
        while not (job._accepted or job.ready() or closed) and child._is_alive() and monotonic() < end:  # noqa: SLF001
            if child.outq._reader.poll(LOOK_SECONDS):  # noqa: SLF001
                handler._flush_outqueue(child.outqR_fd, closed.append, self._fileno_to_outq, handler.on_state_change)  # noqa: SLF001


class DirectPool(prefork.TaskPool):
    """The pool for `worker_pool`."""

    Pool = WritingAtOnce


def _join_payload(job: Any) -> None:
    """Make the length and the body of a message one piece, which the system writes to a pipe whole or not at all.

    A child that gets only the length wakes up, and waits again.
    """
    length, body, size = job._payload  # noqa: SLF001
    if len(length) + size <= PIPE_BUF:
        job._payload = memoryview(bytes(length) + bytes(body)), memoryview(b""), 0  # noqa: SLF001
