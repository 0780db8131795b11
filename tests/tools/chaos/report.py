"""The report of a campaign: its faults and how the service came back from each, its uploads, its verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from statistics import median

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.tools.chaos import measures
from tests.tools.chaos.campaign import CampaignResult
from tests.tools.chaos.endpoints import ENDPOINTS
from tests.tools.chaos.event_measures import figures_by_fault, total, tries_by_endpoint, waits_at
from tests.tools.chaos.timing import POISON_P95_SECONDS
from tests.tools.chaos.violations import ViolationKind

SHOWN = 30
HEALTHY = "healthy"  # the endpoint that others must not hold up


def report(result: CampaignResult, console: Console) -> None:
    """Print everything."""
    if result.injections:
        console.print(_faults(result))
    console.print(_events(result))
    console.print(_numbers(result))
    if not result.violations:
        console.print("Every invariant held.", style="bold green")
    for violation in result.violations[:SHOWN]:
        console.print(Text(str(violation), "red"), soft_wrap=True)
    if len(result.violations) > SHOWN:
        console.print(f"... and {len(result.violations) - SHOWN} more", style="red")
    if result.evidence_folder is not None:
        console.print(f"Job documents and the ends of the logs: {result.evidence_folder}", style="bold", soft_wrap=True)


def _faults(result: CampaignResult) -> Table:
    table = Table(title="Faults, and seconds from each until ...", title_justify="left")
    table.add_column("fault")
    for heading in ("times", "next stage done: median", "worst", "all under way ended: median", "worst"):
        table.add_column(heading, justify="right")
    by_fault: dict[str, list[measures.Recovery]] = {}
    for injection in result.injections:
        by_fault.setdefault(injection.fault, []).append(measures.recovery(injection, result.jobs))
    for fault, found in sorted(by_fault.items()):
        progress = [each.progress for each in found if each.progress is not None]
        all_ended_seconds = [each.all_ended_seconds for each in found if each.all_ended_seconds is not None]
        table.add_row(fault, str(len(found)), *_middle_and_worst(progress), *_middle_and_worst(all_ended_seconds))
    return table


def _events(result: CampaignResult) -> Table:
    table = Table(title="Events, from each fault to the next", title_justify="left")
    table.add_column("fault")
    for heading in ("times", "arrived", "tries", "duplicates", f"end to {HEALTHY}, s: median", "worst"):
        table.add_column(heading, justify="right")
    by_fault = figures_by_fault(result.arrivals, result.jobs, result.injections, endpoint=HEALTHY)
    for fault, each in sorted(by_fault.items()):
        counts = (each.times, each.events, each.tries, each.duplicates)
        table.add_row(fault, *map(str, counts), *_middle_and_worst(each.waits))
    return table


def _middle_and_worst(seconds: list[float]) -> tuple[str, str]:
    return (f"{median(seconds):.1f}", f"{max(seconds):.1f}") if seconds else ("-", "-")


def _numbers(result: CampaignResult) -> Table:
    accepted = [upload for upload in result.uploads if upload.task_id is not None]
    table = Table(show_header=False)
    table.add_row("seed", str(result.plan.seed))
    table.add_row("uploads accepted", str(len(accepted)))
    table.add_row("uploads never accepted", str(len(result.uploads) - len(accepted)))
    table.add_row("answers", _counted(result.answers))
    table.add_row("jobs by end", _counted(Counter(job.state.value for job in result.jobs)))
    table.add_row("stages run again", str(sum(measures.extra_runs(result.jobs))))
    table.add_row("dispatched again", _counted(Counter(str(job.generation) for job in result.jobs)))
    poison = Counter(job.state.value for job in result.jobs if measures.is_poison(job))
    table.add_row("poison", f"{_counted(poison)}; {result.kills} children killed")
    table.add_row("upload to done", _waits(measures.job_durations(result.jobs)))
    beside = measures.job_durations(measures.jobs_beside_poison(result.jobs, result.injections))
    table.add_row("beside poison, no fault", f"{_waits(beside)}; allowed p95: {POISON_P95_SECONDS:.0f} s")
    imports = [upload for upload in accepted if upload.source_url is not None]
    table.add_row("imported from URLs", str(len(imports)))
    moves = Counter(f"{move} {status}" for upload in accepted for move, status in upload.move_answers)
    table.add_row("moves", _counted(moves))
    events = total(result.arrivals)
    table.add_row("events", f"{events.events} arrived in {events.tries} tries, {events.duplicates} of them duplicates")
    for name in ENDPOINTS:
        tries, waits = tries_by_endpoint(result.arrivals)[name], waits_at(result.arrivals, result.jobs, name)
        table.add_row(f"end to {name}", f"{_waits(waits)}; {tries} tries")
    table.add_row("last upload to all ended", f"{result.ended_seconds:.1f} s")
    table.add_row("from then to all delivered", f"{result.delivered_seconds:.1f} s")
    table.add_row("from then to tidy", f"{result.tidy_seconds:.1f} s")
    wrongs = Counter(violation.kind for violation in result.violations)
    for wrong in ViolationKind:
        table.add_row(wrong, Text(str(wrongs[wrong]), "red" if wrongs[wrong] else "green"))
    table.add_row("duration", f"{result.seconds:.0f} s")
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
