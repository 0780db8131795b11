"""A program that says what it finds itself in, and ends as its argument tells it."""

from __future__ import annotations

import atexit
import json
import os
import signal
import sys
import threading
import time


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")


def _end_late() -> None:
    time.sleep(0.2)
    _say("a thread ended")


signals = {each.name: str(signal.getsignal(each)) for each in signal.Signals}
_say(json.dumps([__name__, sys.argv, dict(os.environ), signals, threading.current_thread().name]))
atexit.register(_say, "cleared up")
threading.Thread(target=_end_late).start()
match sys.argv[1:]:
    case ["status"]:
        sys.exit(7)
    case ["words"]:
        sys.exit("nothing goes on")
    case ["error"]:
        raise LookupError
    case ["signal"]:
        os.kill(os.getpid(), signal.SIGTERM)
