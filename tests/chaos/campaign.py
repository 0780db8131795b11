"""A campaign: a whole stack under load and faults, then quiet, then every invariant checked."""

from __future__ import annotations

import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from pymongo.errors import PyMongoError

from deploy.control import StackError
from storage.documents import JobRecord
from tests.chaos import measures
from tests.chaos.catalogue import possible, shuffled
from tests.chaos.clock import CLOCK, ENDED_SECONDS, POISON_P95_SECONDS, TIDY_SECONDS
from tests.chaos.evidence import keep
from tests.chaos.executioner import Executioner
from tests.chaos.jobs_check import check_jobs
from tests.chaos.leftovers import left_over
from tests.chaos.load import Load, Upload
from tests.chaos.samples import Sample, poison, samples
from tests.chaos.scene import Scene
from tests.chaos.schedule import Strike, strike_all
from tests.chaos.stack import ChaosStack
from tests.chaos.violations import Violation, Wrong
from tests.chaos.witness import Witness, patiently, wait_for

MOST_ACTIVE = 40  # jobs under way, from which on the load waits: a slow machine is to be tried, not buried
POISON_EVERY, POISON_FIRST = 60, 6
GRACE_SECONDS = 5.0  # for the last processes to be gone


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do: `faults` once each in this order, or in shuffled rounds for as long as the load lasts."""

    seed: int
    seconds: float
    faults: Sequence[str]
    once: bool = False
    gap: tuple[float, float] = (3.0, 10.0)
    rate: float = 3.0
    keep: bool = False


@dataclass(kw_only=True)
class Outcome:
    """What came of it; `kept` is where the evidence is, if there had to be any, or it was wanted."""

    plan: Plan
    strikes: list[Strike] = field(default_factory=list)
    uploads: list[Upload] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    jobs: list[JobRecord] = field(default_factory=list)
    kills: int = 0
    ended_seconds: float = 0.0
    tidy_seconds: float = 0.0
    seconds: float = 0.0
    violations: list[Violation] = field(default_factory=list)
    kept: Path | None = None


def run(plan: Plan, tell: Callable[[str], None]) -> Outcome:
    """Run a campaign from start to stop, in a folder of its own."""
    began, outcome = time.monotonic(), Outcome(plan=plan)
    poison(), samples()  # drawn before the clock runs
    with tempfile.TemporaryDirectory(prefix="darkroom-chaos-") as folder:
        stack = ChaosStack(Path(folder) / "stack", environment=CLOCK)
        tell("starting the stack")
        with stack, closing(Witness(stack.mongo_url)) as witness:
            try:
                _storm(outcome, Scene(stack, witness, Random(plan.seed)), tell)  # noqa: S311  not a secret
            except StackError as error:
                outcome.violations.append(Violation(Wrong.STUCK, str(error)))
            outcome.jobs = patiently(witness.jobs)
            tell("checking every job")
            outcome.violations += check_jobs(outcome.jobs, outcome.uploads, outcome.strikes, stack.urls)
            outcome.violations += left_over(outcome.jobs, stack.blob_folder, stack.redis_url)
            outcome.violations += _delays(outcome)
        outcome.violations += _leaked(stack)
        outcome.seconds = time.monotonic() - began
        if outcome.violations or plan.keep:
            outcome.kept = keep(outcome.violations, outcome.strikes, outcome.uploads, outcome.jobs, stack)
    return outcome


def _storm(outcome: Outcome, scene: Scene, tell: Callable[[str], None]) -> None:
    """Load and faults, and then the wait for quiet."""
    plan, stack, witness = outcome.plan, scene.stack, scene.witness
    deadline = time.monotonic() + plan.seconds

    def is_held() -> bool:
        try:
            return len(witness.active_ids()) >= MOST_ACTIVE
        except PyMongoError:
            return False

    def told(strike: Strike) -> None:
        tell(f"{strike.fault} {strike.detail}".rstrip())
        outcome.strikes.append(strike)

    with Executioner(stack, witness) as executioner:
        tell("loading")
        with Load(stack.urls, _chooser(plan.seed), rate=plan.rate, seed=plan.seed, is_held=is_held) as load:
            outcome.uploads = load.uploads
            strike_all(scene, _faults(plan, scene), gap=plan.gap, deadline=deadline, told=told)
            if not plan.once:
                time.sleep(max(0.0, deadline - time.monotonic()))
        outcome.answers = load.answers()
        tell("no more load: waiting for every job to end")
        outcome.ended_seconds = _timed(lambda: not witness.active_ids(), ENDED_SECONDS)
    outcome.kills = len(executioner.kills)
    outcome.tidy_seconds = _timed(
        lambda: not left_over(witness.jobs(), stack.blob_folder, stack.redis_url), TIDY_SECONDS
    )


def _faults(plan: Plan, scene: Scene) -> Iterable[str]:
    names = possible(scene.stack, plan.faults)
    return names if plan.once else shuffled(names, scene.random)


def _chooser(seed: int) -> Callable[[int], Sample]:
    """Choose what to upload: the same for the same seed."""
    choices = samples()
    weights = [sample.weight for sample in choices]

    def choose(serial: int) -> Sample:
        if serial % POISON_EVERY == POISON_FIRST:
            return poison()
        return Random(f"{seed}-{serial}").choices(choices, weights)[0]  # noqa: S311  not a secret

    return choose


def _timed(is_so: Callable[[], bool], seconds: float) -> float:
    began = time.monotonic()
    wait_for(is_so, seconds, look=0.3)
    return time.monotonic() - began


def _delays(outcome: Outcome) -> Iterable[Violation]:
    delay = measures.p95(measures.waits(measures.beside_poison(outcome.jobs, outcome.strikes)))
    if delay is not None and delay > POISON_P95_SECONDS:
        yield Violation(Wrong.DELAYED, f"p95 beside poison is {delay:.1f} s, over {POISON_P95_SECONDS:.0f} s")


def _leaked(stack: ChaosStack) -> list[Violation]:
    wait_for(lambda: not stack.survivors(), GRACE_SECONDS)
    left = stack.survivors()
    stack.send([int(line.split()[0]) for line in left], signal.SIGKILL)
    return [Violation(Wrong.LEFT_OVER, f"the process {line}") for line in left]
