"""Darkroom and a peer in turn, over the same photos of 12 megapixels."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from statistics import median

from tests.tools.bench import peer
from tests.tools.bench.bench import Bench, Figures
from tests.tools.bench.load import run_load
from tests.tools.bench.sample import Sample
from tests.tools.bench.services import start_darkroom
from tests.tools.bench.systems import System

JOBS, ROUNDS, ALONE = 120, 3, 1
IDLE_SECONDS = 5.0


def run(bench: Bench) -> Figures:
    """Drive one system after the other, round after round; all are up, one works."""
    with ExitStack() as resources:
        systems: list[System] = [resources.enter_context(start_darkroom(bench, "darkroom"))]
        systems += start_peers(bench, resources, peer.TUNINGS)
        idle = _idle(bench, systems)
        photos = bench.corpus.photos("12mp")
        rounds = []
        for number in range(bench.options.rounds or (ROUNDS if len(systems) > 1 else ALONE)):
            jobs, in_flight = bench.jobs(JOBS), bench.options.in_flight
            samples = [run_load(system, photos, jobs=jobs, in_flight=in_flight) for system in systems]
            bench.show_samples(f"round {number + 1}", [(each.system, each) for each in samples])
            rounds.append(samples)
    for sample in rounds[-1]:
        bench.show_costs(sample.system, sample)
    return {
        "idle_percent_of_a_core": idle,
        "rounds": [[sample.figures() for sample in samples] for samples in rounds],
        "ratios": show_ratios(bench, rounds),
    }


def start_peers(bench: Bench, resources: ExitStack, tunings: Mapping[str, peer.Tuning]) -> list[peer.Peer]:
    """Run the peer once with each tuning; say why if there is none."""
    program = bench.options.peer
    if program is None or peer.explain_missing(program):
        bench.say(f"No peer: {peer.explain_missing(program)}.")
        return []
    try:
        ready = peer.install_peer(program, bench.folder("npm"))
    except subprocess.CalledProcessError as error:
        bench.say(f"No peer: {error}.")
        return []
    running = []
    for name, tuning in tunings.items():
        overlay = tuning.overlay
        changed = f", files of {overlay.name}" if overlay else ""
        bench.say(f"{name}: {dict(tuning.environment) or 'its defaults'}{changed}")
        files = peer.lay_over(ready, overlay, bench.folder("peer") / "program") if overlay else ready
        environment, data = tuning.environment, bench.folder("peer") / "files"
        running.append(resources.enter_context(peer.run_peer(files, name, data, tuning=environment)))
    return running


def _idle(bench: Bench, systems: Sequence[System]) -> dict[str, float]:
    """Tell what each costs while it waits: little, or it would be in the way of the one that works."""
    before, start = [system.usage() for system in systems], time.perf_counter()
    time.sleep(IDLE_SECONDS)
    seconds = time.perf_counter() - start
    used = [system.usage().since(then) for system, then in zip(systems, before, strict=True)]
    percent = {
        system.name: round(sum(each.cpu_ms.values()) / seconds / 10, 2)
        for system, each in zip(systems, used, strict=True)
    }
    bench.show("idle, all systems up", ["", "% of a core"], list(percent.items()))
    return percent


def show_ratios(bench: Bench, rounds: Sequence[Sequence[Sample]]) -> Figures:
    """Compare within a round: the machine drifts, and both feel it."""
    found: Figures = {}
    for place, name in enumerate(sample.system for sample in rounds[0][1:]):
        rates = [samples[0].rate / samples[place + 1].rate for samples in rounds]
        costs = [samples[0].cpu_ms / samples[place + 1].cpu_ms for samples in rounds]
        found[name] = {"jobs_per_s": rates, "median": median(rates), "cpu": costs, "cpu_median": median(costs)}
    headings = ["darkroom to", *(f"round {number + 1}" for number in range(len(rounds))), "median", "CPU, median"]
    rows = [(name, *each["jobs_per_s"], each["median"], each["cpu_median"]) for name, each in found.items()]
    if rows:
        bench.show("jobs a second, Darkroom to the peer", headings, rows)
    return found
