"""A campaign: a whole stack under load and faults, then quiet, then every invariant checked."""

from __future__ import annotations

import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

from pymongo.errors import PyMongoError

from deploy.local.supervisord_control import StackError
from storage.documents import JobRecord, JobState
from storage.webhooks import Delivery, DeliveryState
from tests.tools.chaos import measures
from tests.tools.chaos.endpoints import Arrival, run_endpoints
from tests.tools.chaos.events_check import check_events
from tests.tools.chaos.evidence import keep
from tests.tools.chaos.executioner import Executioner
from tests.tools.chaos.faults import select_possible, shuffle_rounds
from tests.tools.chaos.histories import list_histories
from tests.tools.chaos.image_source import ImageSource, run_image_source
from tests.tools.chaos.jobs_check import check_jobs
from tests.tools.chaos.leftovers import find_leftovers
from tests.tools.chaos.load import Load, Upload
from tests.tools.chaos.moves import Mover, choose_moves
from tests.tools.chaos.samples import Sample, poison, samples
from tests.tools.chaos.scene import Scene
from tests.tools.chaos.schedule import Injection, inject_faults
from tests.tools.chaos.stack import ChaosStack
from tests.tools.chaos.timing import (
    DELIVERED_SECONDS,
    ENDED_SECONDS,
    POISON_P95_SECONDS,
    SHORT_TIMEOUTS,
    TIDY_SECONDS,
)
from tests.tools.chaos.violations import Violation, ViolationKind
from tests.tools.chaos.witness import Witness, retry_mongo, wait_for

MOST_ACTIVE = 40  # jobs under way, from which on the load waits: a slow machine is to be tried, not buried
POISON_EVERY, POISON_FIRST = 60, 6
IMPORT_EVERY = 5
GRACE_SECONDS = 5.0  # for the last processes to be gone


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do: `faults` once each in this order, or in shuffled rounds for as long as the load lasts."""

    seed: int
    seconds: float
    faults: Sequence[str]
    once: bool = False
    gap_seconds: tuple[float, float] = (3.0, 10.0)
    rate: float = 3.0
    pools: int = 1
    skew_seconds: int = 0
    keep: bool = False


@dataclass(kw_only=True)
class CampaignResult:
    """What came of it; `evidence_folder` is where the evidence is, if there had to be any, or it was wanted."""

    plan: Plan
    injections: list[Injection] = field(default_factory=list)
    uploads: list[Upload] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    jobs: list[JobRecord] = field(default_factory=list)
    kills: int = 0
    arrivals: list[Arrival] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    ended_seconds: float = 0.0
    delivered_seconds: float = 0.0
    tidy_seconds: float = 0.0
    seconds: float = 0.0
    violations: list[Violation] = field(default_factory=list)
    evidence_folder: Path | None = None


def run(plan: Plan, tell: Callable[[str], None]) -> CampaignResult:
    """Run a campaign from start to stop, in a folder of its own."""
    began, result = time.monotonic(), CampaignResult(plan=plan)
    poison(), samples()  # drawn before the clock runs
    with (
        tempfile.TemporaryDirectory(prefix="darkroom-chaos-") as folder,
        run_endpoints(seed=plan.seed) as events,
        run_image_source(seed=plan.seed) as images,
    ):
        environment = SHORT_TIMEOUTS | events.environment
        stack = ChaosStack(
            Path(folder) / "stack", environment=environment, pools=plan.pools, skew_seconds=plan.skew_seconds
        )
        tell("starting the stack")
        with stack, closing(Witness(stack.mongo_url)) as witness:
            scene = Scene(stack, witness, Random(plan.seed), events)  # noqa: S311  not a secret
            try:
                _run_load_and_faults(result, scene, images, tell)
            except StackError as error:
                result.violations.append(Violation(ViolationKind.STUCK, str(error)))
            result.uploads += scene.uploads
            result.violations += scene.violations
            result.jobs = retry_mongo(witness.jobs)
            tell("checking every job")
            result.violations += check_jobs(result.jobs, result.uploads, result.injections, stack.urls)
            result.arrivals, result.deliveries = list(events.arrivals), witness.deliveries(*DeliveryState)
            result.violations += check_events(result.arrivals, list_histories(result.jobs, result.uploads))
            result.violations += find_leftovers(result.jobs, stack, witness)
            result.violations += _delays(result)
        result.violations += _leaked(stack)
        result.seconds = time.monotonic() - began
        if result.violations or plan.keep:
            result.evidence_folder = keep(result, stack)
    return result


def _run_load_and_faults(
    result: CampaignResult, scene: Scene, images: ImageSource, tell: Callable[[str], None]
) -> None:
    """Load and faults, and then the wait for quiet."""
    plan, stack, witness = result.plan, scene.stack, scene.witness
    deadline = time.monotonic() + plan.seconds

    def is_paused() -> bool:
        try:
            return len(witness.active_ids()) >= MOST_ACTIVE
        except PyMongoError:
            return False

    def record_injection(injection: Injection) -> None:
        tell(f"{injection.fault} {injection.detail}".rstrip())
        result.injections.append(injection)

    with Executioner(stack, witness) as executioner:
        tell("loading")
        load = Load(
            stack.urls,
            _chooser(plan.seed),
            rate=plan.rate,
            seed=plan.seed,
            is_paused=is_paused,
            prepare=partial(_prepare, images),
        )
        result.uploads = load.uploads
        with Mover(list(stack.urls.values()), witness, load.uploads), load:
            inject_faults(
                scene,
                _faults(plan, scene, tell),
                gap_seconds=plan.gap_seconds,
                deadline=deadline,
                on_injected=record_injection,
            )
            if not plan.once:
                time.sleep(max(0.0, deadline - time.monotonic()))
        result.answers = load.answers()
        tell("no more load: waiting for every job to end")
        result.ended_seconds = _timed(lambda: not witness.active_ids(), ENDED_SECONDS)
    result.kills = len(executioner.kills)
    tell("waiting for every event to arrive")
    result.delivered_seconds = _timed(lambda: _is_all_delivered(witness), DELIVERED_SECONDS)
    result.tidy_seconds = _timed(lambda: not find_leftovers(witness.jobs(), stack, witness), TIDY_SECONDS)


def _faults(plan: Plan, scene: Scene, tell: Callable[[str], None]) -> Iterable[str]:
    names = select_possible(scene.stack, plan.faults, tell)
    return names if plan.once else shuffle_rounds(names, scene.random)


def _chooser(seed: int) -> Callable[[int], Sample]:
    """Choose what to upload: the same for the same seed."""
    choices = samples()
    weights = [sample.weight for sample in choices]

    def choose(serial: int) -> Sample:
        if serial % POISON_EVERY == POISON_FIRST:
            return poison()
        return Random(f"{seed}-{serial}").choices(choices, weights)[0]  # noqa: S311  not a secret

    return choose


def _prepare(images: ImageSource, upload: Upload) -> None:
    """Have some images imported instead of uploaded, and clients move some jobs later."""
    if measures.is_poison_name(upload.name):
        return
    if upload.serial % IMPORT_EVERY == 0:
        upload.source_url = images.offer(upload.name, upload.sample.content)
    upload.moves = choose_moves(upload.serial, fails=upload.sample.expected_state != JobState.DONE)
    upload.is_raced = bool(upload.moves)


def _is_all_delivered(witness: Witness) -> bool:
    return not witness.has_outboxes() and not witness.has_pending_deliveries()


def _timed(condition: Callable[[], bool], seconds: float) -> float:
    began = time.monotonic()
    wait_for(condition, seconds, look=0.3)
    return time.monotonic() - began


def _delays(result: CampaignResult) -> Iterable[Violation]:
    delay = measures.p95(measures.job_durations(measures.jobs_beside_poison(result.jobs, result.injections)))
    if delay is not None and delay > POISON_P95_SECONDS:
        yield Violation(ViolationKind.DELAYED, f"p95 beside poison is {delay:.1f} s, over {POISON_P95_SECONDS:.0f} s")


def _leaked(stack: ChaosStack) -> list[Violation]:
    wait_for(lambda: not stack.list_remaining_processes(), GRACE_SECONDS)
    left = stack.list_remaining_processes()
    stack.send([int(line.split()[0]) for line in left], signal.SIGKILL)
    return [Violation(ViolationKind.LEFT_OVER, f"the process {line}") for line in left]
