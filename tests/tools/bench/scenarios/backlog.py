"""A backlog: jobs queued while no worker runs, then the first hundred of them done, and then all."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime
from statistics import median
from typing import Any

from tests.tools.bench.bench import Bench, Figures
from tests.tools.bench.load import BenchClient
from tests.tools.bench.sample import p95
from tests.tools.bench.systems import Darkroom, run_darkroom

DEPTHS, DEEP = (10, 100, 1000), 10_000
ASKED, FIRST = 50, 100


def run(bench: Bench) -> Figures:
    """Build each backlog in a stack of its own, and ask how the gateway and the workers do behind it."""
    photo = bench.corpus.photos("tiny")[0]
    found: Figures = {}
    for depth in (*DEPTHS, DEEP) if bench.options.deep else DEPTHS:
        with run_darkroom(bench.folder("backlog"), workers=False) as system, closing(BenchClient(system)) as visitor:
            found[str(depth)] = _behind(system, visitor, photo, depth)
    headings = ["jobs queued", "POST p50 ms", "p95", "GET p50 ms", "p95", f"jobs/s, first {FIRST}", "all"]
    bench.show("backlog", headings, [(name, *each.values()) for name, each in found.items()])
    return found


def _behind(system: Darkroom, visitor: BenchClient, photo: bytes, depth: int) -> dict[str, float | None]:
    timed = [_timed(visitor.send, photo) for _ in range(depth)]
    jobs = [job for _, job in timed]
    posts = [ms for ms, _ in timed[depth // 2 :][-ASKED:]]  # at that depth, and of a gateway that is warm
    asked = random.Random(depth).choices(jobs, k=ASKED)  # noqa: S311  # the same jobs every time
    gets = [_timed(visitor.status, job)[0] for job in asked]
    for queue in system.stack.pools:
        system.stack.start_process(queue, wait=False)
    told = {
        "post_p50_ms": median(posts),
        "post_p95_ms": p95(posts),
        "get_p50_ms": median(gets),
        "get_p95_ms": p95(gets),
        "first_per_s": _rate([visitor.wait_until_done(job) for job in jobs[:FIRST]]),
        "all_per_s": _rate([visitor.wait_until_done(job) for job in jobs]) if depth < DEEP else None,
    }
    return {name: value and round(value, 2) for name, value in told.items()}


def _timed(question: Callable[..., Any], *arguments: object) -> tuple[float, Any]:
    start = time.perf_counter()
    answer = question(*arguments)
    return (time.perf_counter() - start) * 1000, answer


def _rate(answers: Sequence[dict[str, Any]]) -> float:
    """Count from the first stage that began, so that the workers' own start is left out."""
    began = min(datetime.fromisoformat(each["stages"]["validate"]["started_at"]) for each in answers)
    ended = max(datetime.fromisoformat(each["finished_at"]) for each in answers)
    return len(answers) / (ended - began).total_seconds()
