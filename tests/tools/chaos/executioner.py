"""The executioner: kills whatever child runs a poison job's stage, as soon as the job's document says that it runs."""

from __future__ import annotations

import signal
import threading
from contextlib import suppress
from http.client import HTTPException
from typing import Self
from xmlrpc.client import Error

from pymongo.errors import PyMongoError

from deploy.local.supervisord_control import StackError
from tests.tools.chaos.samples import POISON
from tests.tools.chaos.stack import ChaosStack
from tests.tools.chaos.timing import MAX_ATTEMPTS
from tests.tools.chaos.witness import Witness, worker_of

STAGE = "normalize"  # its workers have one child each: whoever runs, it is the one
LOOK_SECONDS = 0.05
OUTAGE_ERRORS = (PyMongoError, OSError, HTTPException, Error, StackError)


class Executioner:
    """Watches in a thread of its own for as long as the context lasts."""

    def __init__(self, stack: ChaosStack, witness: Witness) -> None:
        self._stack = stack
        self._witness = witness
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.kills: set[tuple[str, int]] = set()  # job and attempt

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            with suppress(*OUTAGE_ERRORS):
                self._look()

    def _look(self) -> None:
        for job, stage in self._witness.running([STAGE]):
            record = job.stages[stage]
            worker = worker_of(record) or STAGE
            run = (job.id, record.attempts)
            spent = (
                record.attempts - record.retries > MAX_ATTEMPTS
            )  # this run does not touch the image: it buries the job
            if (job.original.name or "").startswith(POISON) and run not in self.kills and not spent:
                self._stack.send(self._stack.children(worker), signal.SIGKILL)
                self.kills.add(run)
