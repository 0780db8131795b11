"""The overview on a terminal. Green: well; yellow: look at it; red: act; dim: zero or unknown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from deploy.admin.top.models import Dependency, FailedJob, Overview, Queue
from deploy.admin.top.widgets import (
    BAD,
    FIRST_COLUMN_WIDTH,
    GOOD,
    MUTED,
    NO_VALUE,
    WARNING,
    WIDE_TERMINAL_COLUMNS,
    age_style,
    create_table,
    format_count,
    format_duration_cell,
    format_rate,
    format_seconds,
    label_value,
    wrap_parts,
)
from gateway.cli.humanize import format_bytes

SWEEP_LATE_SECONDS = 30.0  # since the last run of the sweeper, which runs every two seconds
FREE_SHARE_LOW, FREE_SHARE_CRITICAL = 0.2, 0.05  # of the blob store
STATES = ("accepted", "processing", "done", "failed", "dead", "cancelled")
COLOURS = {"in": GOOD, "processing": GOOD, "done": GOOD, "failed": WARNING, "refused": WARNING, "dead": BAD}
OUTCOMES = {
    "done": GOOD,
    "refused": WARNING,
    "retried": WARNING,
    "fenced": WARNING,
    "dead": BAD,
}  # the other outcomes change nothing
DOT = "\N{BLACK CIRCLE}"
INDENT = 10  # columns before a failure's reason, if it has a line of its own


def render_view(
    overview: Overview, failures: Sequence[FailedJob] | str, *, where: str, now: datetime, width: int
) -> RenderableType:
    """Render the view for a terminal of `width` columns, at least 80. `failures` are jobs, or why they are unknown."""
    return Group(
        _title(overview, where, now),
        *(Text.assemble((f"{each.name} is down:", BAD), f" {each.url} {each.error}") for each in overview.down),
        "",
        _jobs(overview, width),
        "",
        _summary(overview, now, width),
        "",
        _queues(overview.queues, width),
        "",
        _stages(overview, width),
        "",
        _failures(failures, width),
    )


def _title(overview: Overview, where: str, now: datetime) -> Table:
    title = Table.grid(expand=True)
    title.add_column()
    title.add_column(justify="right")
    measured = f"the last {overview.seconds:.0f} s" if overview.seconds else "measuring ..."
    title.add_row(
        Text.assemble((f"Darkroom {overview.version}", "bold"), f"  {where}"),
        Text(f"{measured}  {now:%H:%M:%S}", MUTED),
    )
    return title


def _jobs(overview: Overview, width: int) -> Table:
    table = create_table(width, "jobs", "in", "refused", *STATES)
    rates = [
        overview.rates["accepted"],
        overview.rates["refused"],
        None,
        None,
        *(overview.rates[end] for end in STATES[2:]),
    ]
    jobs = [None, None, *(overview.jobs.get(state) for state in STATES)]
    names = ("in", "refused", *STATES)
    rate_cells = [_rate_cell(name, value, overview.seconds) for name, value in zip(names, rates, strict=True)]
    count_cells = [
        Text("" if name in names[:2] else format_count(value), _style_count(name, value))
        for name, value in zip(names, jobs, strict=True)
    ]
    table.add_row("a second", *rate_cells)
    table.add_row("now", *count_cells)
    return table


def _rate_cell(name: str, value: float | None, measured: float) -> Text:
    if value is None:
        return Text("")
    return Text(format_rate(value) if measured else NO_VALUE, _style_count(name, value))


def _style_count(name: str, value: float | None) -> str:
    return COLOURS.get(name, "") if value else MUTED


def _summary(overview: Overview, now: datetime, width: int) -> Table:
    summary = Table.grid(padding=(0, 2, 0, 0))
    summary.add_column(style="bold", min_width=FIRST_COLUMN_WIDTH)
    summary.add_column()
    for name, parts in (
        ("took", _describe_durations(overview)),
        ("http", _http(overview)),
        ("stores", _stores(overview)),
        ("sweeper", _sweeper(overview, now)),
    ):
        summary.add_row(name, wrap_parts(parts, width - FIRST_COLUMN_WIDTH - 2))
    return summary


def _describe_durations(overview: Overview) -> list[Text]:
    return [
        label_value("p50", format_seconds(overview.job_p50)),
        label_value("p95", format_seconds(overview.job_p95)),
        label_value(
            "oldest unfinished", format_seconds(overview.oldest_seconds or None), age_style(overview.oldest_seconds)
        ),
    ]


def _http(overview: Overview) -> list[Text]:
    return [
        label_value("posts", f"{format_rate(overview.posts)} a second" if overview.seconds else NO_VALUE),
        label_value("p95", format_seconds(overview.post_p95)),
        label_value("in progress", format_count(overview.in_progress)),
        label_value("5xx", format_count(overview.server_errors), BAD if overview.server_errors else MUTED),
    ]


def _stores(overview: Overview) -> list[Text]:
    stores = [_store(each) for each in overview.dependencies]
    if overview.blob_free_bytes is not None and overview.blob_size_bytes:
        share = overview.blob_free_bytes / overview.blob_size_bytes
        style = BAD if share < FREE_SHARE_CRITICAL else WARNING if share < FREE_SHARE_LOW else ""
        stores.append(
            Text.assemble(
                ("room ", MUTED),
                (
                    f"{format_bytes(int(overview.blob_free_bytes))} of {format_bytes(int(overview.blob_size_bytes))}",
                    style,
                ),
            )
        )
    return stores or [Text(NO_VALUE, MUTED)]


def _store(store: Dependency) -> Text:
    if store.is_up:
        return Text.assemble((f"{DOT} ", GOOD), f"{store.name} {format_seconds(store.seconds)}")
    return Text(f"{DOT} {store.name} is down", BAD)


def _sweeper(overview: Overview, now: datetime) -> list[Text]:
    if not overview.sweeper_ran_at:
        return [Text(NO_VALUE, MUTED)]
    ago = max(0.0, now.timestamp() - overview.sweeper_ran_at)
    return [
        Text.assemble(("ran ", MUTED), (f"{format_seconds(ago)} ago", BAD if ago > SWEEP_LATE_SECONDS else "")),
        label_value("sent again", format_count(overview.redispatched), WARNING if overview.redispatched else MUTED),
        label_value("unacknowledged messages", format_count(overview.unacked_messages)),
    ]


def _queues(queues: Sequence[Queue], width: int) -> Table:
    reserved, lost = (["reserved"], "children lost") if width >= WIDE_TERMINAL_COLUMNS else ([], "lost")
    headings = ["queue", "waiting", "oldest", "wait p50", "wait p95", "workers", "busy", *reserved, "memory", lost]
    table = create_table(width, *headings)
    for each in queues:
        is_up, all_up = each.workers_up > 0, each.workers_up == each.workers > 0
        cells = {
            "queue": Text(each.name),
            "waiting": Text(format_count(each.length), age_style(each.oldest_seconds) if each.length else MUTED),
            "oldest": Text(
                format_seconds(each.oldest_seconds or None),
                age_style(each.oldest_seconds) if each.oldest_seconds else MUTED,
            ),
            "wait p50": format_duration_cell(each.wait_p50),
            "wait p95": format_duration_cell(each.wait_p95),
            "workers": Text(f"{each.workers_up}/{each.workers}", GOOD if all_up else BAD),
            "busy": Text(
                f"{each.active:.0f}/{each.children:.0f}" if is_up else NO_VALUE, GOOD if each.active else MUTED
            ),
            "reserved": Text(format_count(each.reserved) if is_up else NO_VALUE, "" if each.reserved else MUTED),
            "memory": Text(format_bytes(int(each.memory)) if is_up else NO_VALUE, "" if is_up else MUTED),
            lost: Text(
                format_count(each.children_lost) if is_up else NO_VALUE, WARNING if each.children_lost else MUTED
            ),
        }
        table.add_row(*(cells[heading] for heading in headings))
    return table


def _stages(overview: Overview, width: int) -> Table:
    table = create_table(width, "stage", "a second", "run p50", "run p95", "outcomes")
    table.columns[-1].justify, table.columns[-1].no_wrap = "left", False
    for each in overview.stages:
        outcomes = [Text(f"{number:,} {name}", OUTCOMES.get(name, MUTED)) for name, number in each.outcomes.items()]
        runs = Text(format_rate(each.runs) if overview.seconds else NO_VALUE, "" if each.runs else MUTED)
        table.add_row(
            each.name,
            runs,
            format_duration_cell(each.p50),
            format_duration_cell(each.p95),
            wrap_parts(outcomes, width - 4 * FIRST_COLUMN_WIDTH),
        )
    return table


def _failures(failures: Sequence[FailedJob] | str, width: int) -> RenderableType:
    title = Text("latest failures", "bold")
    if isinstance(failures, str):
        return Group(title, Text(f"unknown: {failures}", WARNING))
    pairs = [(_head(job), _reason(job)) for job in failures]
    in_one_line = all(head.cell_len + reason.cell_len + 2 <= width for head, reason in pairs)
    lines: list[RenderableType] = []
    for head, reason in pairs:
        lines += [Text("  ").join([head, reason])] if in_one_line else [head, Padding(reason, (0, 0, 0, INDENT))]
    return Group(title, *lines or [Text("none", MUTED)])


def _head(job: FailedJob) -> Text:
    state = (f"{job.status:<6}", BAD if job.status == "dead" else WARNING)
    return Text.assemble((f"{job.at.astimezone():%H:%M:%S}  ", MUTED), state, f"  {job.task_id}")


def _reason(job: FailedJob) -> Text:
    return Text.assemble(f"{job.stage:<9}  ", (job.code, WARNING), f"  {job.message}")
