"""supervisord's log files: what a full disk does not take is dropped, and ends no process."""

from __future__ import annotations

from typing import Any

from supervisor import loggers


class LogFile(loggers.RotatingFileHandler):  # type: ignore[misc]  # supervisor has no types
    """A rotating log that goes on when there is room again, with a line that says how much was dropped.

    supervisor's own prints each failure to stderr. If that is a file on the same disk, supervisord ends.
    """

    dropped_bytes = 0

    def emit(self, record: Any) -> None:
        """Append a record, unless the disk is full."""
        content = self._format(record)
        try:
            if self.closed:
                self.reopen()
            if self.dropped_bytes:
                self._append(f"\n{self.dropped_bytes} bytes of this log could not be written.\n".encode())
                self.dropped_bytes = 0
            self._append(content)
        except OSError:
            self.dropped_bytes += len(content)
        else:
            self._rotate()

    def _format(self, record: Any) -> bytes:
        if isinstance(record.msg, bytes):  # the output of a process
            return record.msg
        return str(self.fmt % record.asdict()).encode()

    def _append(self, content: bytes) -> None:
        """Write past the stream's buffer, which would keep what the disk does not take."""
        while content:
            content = content[self.stream.raw.write(content) :]

    def _rotate(self) -> None:
        try:
            self.doRollover()
        except OSError:
            self.stream.close()
            self.closed = True  # the next record opens it again
