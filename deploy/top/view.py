"""The figures on a terminal. Green is well, yellow is worth a look, red wants somebody, dim is nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from deploy.top.paint import BAD, FIRST, GOOD, LOOK, NONE, ROOMY, age_style, line_of, said, span, table_of
from deploy.top.shapes import Dependency, Failed, Figures, Queue
from deploy.top.words import NOTHING, count, rate, seconds, size

SWEEP_OLD = 30.0  # seconds since the sweeper ran; it does every two
ROOM_LOW, ROOM_GONE = 0.2, 0.05  # of the blob store
STATES = ("accepted", "processing", "done", "failed", "dead", "cancelled")
COLOURS = {"in": GOOD, "processing": GOOD, "done": GOOD, "failed": LOOK, "refused": LOOK, "dead": BAD}
OUTCOMES = {"done": GOOD, "refused": LOOK, "retried": LOOK, "fenced": LOOK, "dead": BAD}  # the others change nothing
DOT = "\N{BLACK CIRCLE}"
INDENT = 10  # of a failure's reason below its line


def view(
    figures: Figures, failures: Sequence[Failed] | str, *, where: str, now: datetime, width: int
) -> RenderableType:
    """Lay everything out for a terminal of this width, 80 or more; `failures` are jobs, or why they are unknown."""
    return Group(
        _title(figures, where, now),
        *(Text.assemble((f"{each.name} is down:", BAD), f" {each.url} {each.error}") for each in figures.down),
        "",
        _jobs(figures, width),
        "",
        _summary(figures, now, width),
        "",
        _queues(figures.queues, width),
        "",
        _stages(figures, width),
        "",
        _failures(failures, width),
    )


def _title(figures: Figures, where: str, now: datetime) -> Table:
    title = Table.grid(expand=True)
    title.add_column()
    title.add_column(justify="right")
    measured = f"the last {figures.seconds:.0f} s" if figures.seconds else "measuring ..."
    title.add_row(
        Text.assemble((f"Darkroom {figures.version}", "bold"), f"  {where}"),
        Text(f"{measured}  {now:%H:%M:%S}", NONE),
    )
    return title


def _jobs(figures: Figures, width: int) -> Table:
    table = table_of(width, "jobs", "in", "refused", *STATES)
    rates = [
        figures.rates["accepted"],
        figures.rates["refused"],
        None,
        None,
        *(figures.rates[end] for end in STATES[2:]),
    ]
    jobs = [None, None, *(figures.jobs.get(state) for state in STATES)]
    names = ("in", "refused", *STATES)
    flowing = [_flow(name, value, figures.seconds) for name, value in zip(names, rates, strict=True)]
    standing = [
        Text("" if name in names[:2] else count(value), _weight(name, value))
        for name, value in zip(names, jobs, strict=True)
    ]
    table.add_row("a second", *flowing)
    table.add_row("now", *standing)
    return table


def _flow(name: str, value: float | None, measured: float) -> Text:
    if value is None:
        return Text("")
    return Text(rate(value) if measured else NOTHING, _weight(name, value))


def _weight(name: str, value: float | None) -> str:
    return COLOURS.get(name, "") if value else NONE


def _summary(figures: Figures, now: datetime, width: int) -> Table:
    summary = Table.grid(padding=(0, 2, 0, 0))
    summary.add_column(style="bold", min_width=FIRST)
    summary.add_column()
    for name, parts in (
        ("took", _took(figures)),
        ("http", _http(figures)),
        ("stores", _stores(figures)),
        ("sweeper", _sweeper(figures, now)),
    ):
        summary.add_row(name, line_of(parts, width - FIRST - 2))
    return summary


def _took(figures: Figures) -> list[Text]:
    return [
        said("p50", seconds(figures.job_p50)),
        said("p95", seconds(figures.job_p95)),
        said("oldest unfinished", seconds(figures.oldest or None), age_style(figures.oldest)),
    ]


def _http(figures: Figures) -> list[Text]:
    return [
        said("posts", f"{rate(figures.posts)} a second" if figures.seconds else NOTHING),
        said("p95", seconds(figures.post_p95)),
        said("in progress", count(figures.in_progress)),
        said("5xx", count(figures.errors), BAD if figures.errors else NONE),
    ]


def _stores(figures: Figures) -> list[Text]:
    stores = [_store(each) for each in figures.dependencies]
    if figures.free is not None and figures.size:
        share = figures.free / figures.size
        style = BAD if share < ROOM_GONE else LOOK if share < ROOM_LOW else ""
        stores.append(Text.assemble(("room ", NONE), (f"{size(figures.free)} of {size(figures.size)}", style)))
    return stores or [Text(NOTHING, NONE)]


def _store(store: Dependency) -> Text:
    if store.is_up:
        return Text.assemble((f"{DOT} ", GOOD), f"{store.name} {seconds(store.seconds)}")
    return Text(f"{DOT} {store.name} is down", BAD)


def _sweeper(figures: Figures, now: datetime) -> list[Text]:
    if not figures.swept:
        return [Text(NOTHING, NONE)]
    ago = max(0.0, now.timestamp() - figures.swept)
    return [
        Text.assemble(("ran ", NONE), (f"{seconds(ago)} ago", BAD if ago > SWEEP_OLD else "")),
        said("sent again", count(figures.redispatched), LOOK if figures.redispatched else NONE),
        said("unacknowledged messages", count(figures.unacked)),
    ]


def _queues(queues: Sequence[Queue], width: int) -> Table:
    reserved, lost = (["reserved"], "children lost") if width >= ROOMY else ([], "lost")
    headings = ["queue", "waiting", "oldest", "wait p50", "wait p95", "workers", "busy", *reserved, "memory", lost]
    table = table_of(width, *headings)
    for each in queues:
        is_up, all_up = each.up > 0, each.up == each.workers > 0
        cells = {
            "queue": Text(each.name),
            "waiting": Text(count(each.length), age_style(each.oldest) if each.length else NONE),
            "oldest": Text(seconds(each.oldest or None), age_style(each.oldest) if each.oldest else NONE),
            "wait p50": span(each.wait_p50),
            "wait p95": span(each.wait_p95),
            "workers": Text(f"{each.up}/{each.workers}", GOOD if all_up else BAD),
            "busy": Text(f"{each.active:.0f}/{each.children:.0f}" if is_up else NOTHING, GOOD if each.active else NONE),
            "reserved": Text(count(each.reserved) if is_up else NOTHING, "" if each.reserved else NONE),
            "memory": Text(size(each.memory) if is_up else NOTHING, "" if is_up else NONE),
            lost: Text(count(each.lost) if is_up else NOTHING, LOOK if each.lost else NONE),
        }
        table.add_row(*(cells[heading] for heading in headings))
    return table


def _stages(figures: Figures, width: int) -> Table:
    table = table_of(width, "stage", "a second", "run p50", "run p95", "outcomes")
    table.columns[-1].justify, table.columns[-1].no_wrap = "left", False
    for each in figures.stages:
        outcomes = [Text(f"{number:,} {name}", OUTCOMES.get(name, NONE)) for name, number in each.outcomes.items()]
        runs = Text(rate(each.runs) if figures.seconds else NOTHING, "" if each.runs else NONE)
        table.add_row(each.name, runs, span(each.p50), span(each.p95), line_of(outcomes, width - 4 * FIRST))
    return table


def _failures(failures: Sequence[Failed] | str, width: int) -> RenderableType:
    title = Text("latest failures", "bold")
    if isinstance(failures, str):
        return Group(title, Text(f"unknown: {failures}", LOOK))
    pairs = [(_head(job), _reason(job)) for job in failures]
    in_one_line = all(head.cell_len + reason.cell_len + 2 <= width for head, reason in pairs)
    lines: list[RenderableType] = []
    for head, reason in pairs:
        lines += [Text("  ").join([head, reason])] if in_one_line else [head, Padding(reason, (0, 0, 0, INDENT))]
    return Group(title, *lines or [Text("none", NONE)])


def _head(job: Failed) -> Text:
    state = (f"{job.status:<6}", BAD if job.status == "dead" else LOOK)
    return Text.assemble((f"{job.at.astimezone():%H:%M:%S}  ", NONE), state, f"  {job.task_id}")


def _reason(job: Failed) -> Text:
    return Text.assemble(f"{job.stage:<9}  ", (job.code, LOOK), f"  {job.message}")
