"""What a fault acts on, and what it finds wrong itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from random import Random

from tests.tools.chaos.endpoints import EventLog
from tests.tools.chaos.load import MAX_UPLOADS, Upload
from tests.tools.chaos.samples import Sample
from tests.tools.chaos.stack import POOLS, ChaosStack
from tests.tools.chaos.violations import Violation, ViolationKind
from tests.tools.chaos.witness import SuspendedRun, Witness

CATCH_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class FaultEffect:
    """What a fault struck; `stages` are those whose next run shows that it is got over, none: any."""

    detail: str = ""
    stages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scene:
    """The stack, what is seen of it from outside, and the dice."""

    stack: ChaosStack
    witness: Witness
    random: Random
    events: EventLog
    uploads: list[Upload] = field(default_factory=list)
    """What faults upload themselves: checked as the uploads of the load are."""
    violations: list[Violation] = field(default_factory=list)

    def add_upload(self, sample: Sample, *, is_raced: bool = False) -> Upload:
        """Note that a fault is going to upload this."""
        upload = Upload(serial=MAX_UPLOADS + len(self.uploads), sample=sample, is_raced=is_raced)
        self.uploads.append(upload)
        return upload

    def report(self, kind: ViolationKind, sentence: str, job_id: str | None = None) -> None:
        """Note what a fault found wrong."""
        self.violations.append(Violation(kind, sentence, job_id))

    @contextmanager
    def expect_no_end(self) -> Iterator[None]:
        """Report each gateway and worker that ends in the block: what happens to a server is to end none."""
        before = self._find_pids()
        yield
        after = self._find_pids()
        for name, pid in before.items():
            if after.get(name) != pid:
                self.report(ViolationKind.ENDED, f"{name} has ended")

    def _find_pids(self) -> dict[str, int]:
        found = {}
        for name in self.stack.darkroom_processes:
            with suppress(ProcessLookupError):
                found[name] = self.stack.pid(name)
        return found

    def pick_pool(self) -> str:
        """Pick one of the worker pools."""
        return self.random.choice(POOLS)

    def pick_gateway(self) -> str:
        """Pick one of the gateways."""
        return self.random.choice(list(self.stack.urls))

    def suspend_run(self) -> SuspendedRun | None:
        """Catch one pool in the middle of a stage, or else whichever can be caught."""
        pools = self.random.sample(POOLS, len(POOLS))
        return self.witness.suspend_run(self.stack, pools[:1], CATCH_SECONDS) or self.witness.suspend_run(
            self.stack, pools, CATCH_SECONDS
        )

    def pick_seconds(self, least: float, most: float) -> float:
        """Pick a time."""
        return self.random.uniform(least, most)


Fault = Callable[[Scene], Iterator[FaultEffect]]
"""Strikes, yields what it struck, mends what does not mend by itself; just ends when it finds nothing to injection."""
