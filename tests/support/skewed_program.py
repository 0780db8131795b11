"""Runs a Python module with a wrong wall clock: `python skewed_program.py SECONDS MODULE [ARGUMENT ...]`.

libfaketime does this for any program, but no Python package has it, and it shifts the clock inside libc, by which locks
and timeouts of other libraries go as well. Here Python's wall clock is wrong, in this process and in its forks.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Sequence


def skew_command(command: Sequence[str], *, seconds: int) -> tuple[str, ...]:
    """Return the command `python -m MODULE ...` with a wall clock that is ahead by so many seconds."""
    assert command[1] == "-m", command
    return (command[0], __file__, str(seconds), *command[2:])


def skew_clock(seconds: int) -> None:
    """Shift the wall clock. Modules that have taken `time` or `datetime` by name before keep the right one."""
    import datetime as dt  # noqa: PLC0415  # here, as it is not to be imported by name by the modules above
    import time  # noqa: PLC0415
    from datetime import datetime as real_datetime  # noqa: PLC0415

    real_time, real_time_ns = time.time, time.time_ns

    class AnyDatetime(type):
        """Recognises the datetimes that C code makes, too."""

        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, real_datetime)

    class SkewedDatetime(real_datetime, metaclass=AnyDatetime):
        """A datetime whose present is shifted."""

        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> SkewedDatetime:
            return cls.fromtimestamp(time.time(), tz)

        @classmethod
        def utcnow(cls) -> SkewedDatetime:
            return cls.now(dt.UTC).replace(tzinfo=None)

    vars(time).update(time=lambda: real_time() + seconds, time_ns=lambda: real_time_ns() + seconds * 10**9)
    vars(dt).update(datetime=SkewedDatetime)


def main() -> None:
    """Run the module that the arguments name."""
    seconds, module, *arguments = sys.argv[1:]
    sys.path[0] = os.getcwd()  # noqa: PTH109  # as `python -m` does
    sys.argv[:] = [module, *arguments]
    skew_clock(int(seconds))
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
