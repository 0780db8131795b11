"""The report of a campaign: its faults and how the service came back from each, its uploads, its verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from statistics import median

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.chaos import measures
from tests.chaos.campaign import Outcome
from tests.chaos.clock import POISON_P95_SECONDS
from tests.chaos.violations import Wrong

SHOWN = 30


def report(outcome: Outcome, console: Console) -> None:
    """Print everything."""
    if outcome.strikes:
        console.print(_faults(outcome))
    console.print(_numbers(outcome))
    if not outcome.violations:
        console.print("Every invariant held.", style="bold green")
    for violation in outcome.violations[:SHOWN]:
        console.print(Text(str(violation), "red"), soft_wrap=True)
    if len(outcome.violations) > SHOWN:
        console.print(f"... and {len(outcome.violations) - SHOWN} more", style="red")
    if outcome.kept is not None:
        console.print(f"Job documents and the ends of the logs: {outcome.kept}", style="bold", soft_wrap=True)


def _faults(outcome: Outcome) -> Table:
    table = Table(title="Faults, and seconds from each until ...", title_justify="left")
    table.add_column("fault")
    for heading in ("times", "next stage done: median", "worst", "all under way ended: median", "worst"):
        table.add_column(heading, justify="right")
    by_fault: dict[str, list[measures.Recovery]] = {}
    for strike in outcome.strikes:
        by_fault.setdefault(strike.fault, []).append(measures.recovery(strike, outcome.jobs))
    for fault, found in sorted(by_fault.items()):
        progress = [each.progress for each in found if each.progress is not None]
        caught_up = [each.caught_up for each in found if each.caught_up is not None]
        table.add_row(fault, str(len(found)), *_middle_and_worst(progress), *_middle_and_worst(caught_up))
    return table


def _middle_and_worst(seconds: list[float]) -> tuple[str, str]:
    return (f"{median(seconds):.1f}", f"{max(seconds):.1f}") if seconds else ("-", "-")


def _numbers(outcome: Outcome) -> Table:
    accepted = [upload for upload in outcome.uploads if upload.task_id is not None]
    table = Table(show_header=False)
    table.add_row("seed", str(outcome.plan.seed))
    table.add_row("uploads accepted", str(len(accepted)))
    table.add_row("uploads never accepted", str(len(outcome.uploads) - len(accepted)))
    table.add_row("answers", _counted(outcome.answers))
    table.add_row("jobs by end", _counted(Counter(job.state.value for job in outcome.jobs)))
    table.add_row("dispatched again", _counted(Counter(str(job.generation) for job in outcome.jobs)))
    poison = Counter(job.state.value for job in outcome.jobs if measures.is_poison(job))
    table.add_row("poison", f"{_counted(poison)}; {outcome.kills} children killed")
    table.add_row("upload to done", _waits(measures.waits(outcome.jobs)))
    beside = measures.waits(measures.beside_poison(outcome.jobs, outcome.strikes))
    table.add_row("beside poison, no fault", f"{_waits(beside)}; allowed p95: {POISON_P95_SECONDS:.0f} s")
    table.add_row("last upload to all ended", f"{outcome.ended_seconds:.1f} s")
    table.add_row("from then to tidy", f"{outcome.tidy_seconds:.1f} s")
    wrongs = Counter(violation.wrong for violation in outcome.violations)
    for wrong in Wrong:
        table.add_row(wrong, Text(str(wrongs[wrong]), "red" if wrongs[wrong] else "green"))
    table.add_row("duration", f"{outcome.seconds:.0f} s")
    return table


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{number} x {name}" for name, number in sorted(counts.items())) or "none"


def _waits(seconds: Iterable[float]) -> str:
    seconds = sorted(seconds)
    if not seconds:
        return "no jobs"
    ninety_fifth = measures.p95(seconds)
    shown = f", p95 {ninety_fifth:.1f} s" if ninety_fifth is not None else ""
    return f"median {median(seconds):.1f} s{shown}, worst {seconds[-1]:.1f} s ({len(seconds)} jobs)"
