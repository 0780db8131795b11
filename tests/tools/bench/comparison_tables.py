"""The tables of the documents that come from `compare` and `profile`: before and after, and beside the peers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from statistics import median
from typing import Any

from tests.tools.bench.bench import Figures, format_figure
from tests.tools.bench.comparison import SUMMARY
from tests.tools.bench.rounds import Comparison, Round, compare
from tests.tools.bench.tree_stack import BEFORE

OWN, DIRECT = "darkroom", "our stages"
QUEUES = {
    "queue": ("Redis, a folder", "redis"),
    "queue, rabbitmq": ("RabbitMQ, a folder", "rabbitmq"),
    "queue, s3": ("Redis, S3 (SeaweedFS)", "seaweedfs"),
}
"""The runs of `queue` by the names of their figures, and the server that each is about."""
Table = tuple[Sequence[str], Sequence[Sequence[object]]]
BY_PROCESS = (("race", "CPU ms, "), ("queue", "CPU ms, "), ("memory", "PSS MiB, "), ("still", ""))
"""The parts whose figures of each process and group are listed, and how their names begin."""


def summary_rows(rounds: Mapping[str, Sequence[Round]], own: str, other: str) -> list[tuple[str, Comparison]]:
    """Return the figures that the goals are about, as far as both systems have them, by names with their parts."""
    compared = {part: compare(found, own, other) for part, found in rounds.items()}
    wanted = [(part, name) for part, name in SUMMARY if name in compared.get(part, {})]
    rows = [(f"{part}: {name}", compared[part][name]) for part, name in wanted]
    return [(name, each) for name, each in rows if each.median is not None]


def before_table(found: Figures) -> Table:
    """List what the goals are about and what each process costs, of the commit before and of this one."""
    rounds: dict[str, list[Round]] = found["compare"]["rounds"]
    names = dict(summary_rows(rounds, OWN, BEFORE))
    for part, start in BY_PROCESS:
        compared = compare(rounds.get(part, ()), OWN, BEFORE)
        names |= {f"{part}: {name}": each for name, each in compared.items() if name.startswith(start)}
    rows = [(name, each.other_median, each.own_median, spell_ratio(each.ratios)) for name, each in names.items()]
    return ("medians of the rounds", "before", "now", "now to before (least - most)"), rows


def peers_table(found: Figures) -> Table:
    """List what the goals are about, of Darkroom and of each peer."""
    rounds: dict[str, list[Round]] = found["compare"]["rounds"]
    peers = [name for name in found["compare"]["ratios"] if name != BEFORE]
    compared = {peer: dict(summary_rows(rounds, OWN, peer)) for peer in peers}
    names = list(dict.fromkeys(chain.from_iterable(compared.values())))
    rows = []
    for name in names:
        cells = [cell for peer in peers for cell in _cells(compared[peer].get(name))]
        first = next(compared[peer][name] for peer in peers if name in compared[peer])
        rows.append((name, first.own_median, *cells))
    headings = [heading for peer in peers for heading in (peer, "Darkroom to it (least - most)")]
    return ("medians of the rounds", "Darkroom", *headings), rows


def race_table(found: Figures) -> Table:
    """List rates, times and costs of the race, from the least to the most of the rounds."""
    rounds: list[Round] = found["compare"]["rounds"]["race"]
    rows = []
    for name in [OWN, *found["compare"]["ratios"]]:
        taken = {figure: [each[name][figure] for each in rounds] for figure in rounds[0][name]}
        times = " / ".join(format_figure(median(taken[figure])) for figure in ("p50 ms", "p95 ms"))
        faster = "" if name == OWN else spell_ratio(compare(rounds, OWN, name)["jobs/s"].ratios)
        rows.append((name, spell_range(taken["jobs/s"]), times, spell_range(taken["CPU ms/job"]), faster))
    return ("", "jobs/s", "p50 / p95 ms", "CPU ms a job", "Darkroom's jobs/s to its (least - most)"), rows


def components_table(found: Figures) -> Table:
    """List the CPU of each component of a job with 12 megapixels, and before if that was sampled too."""
    systems: dict[str, dict[str, float]] = found["profile"]["12mp"]
    headings = [heading for name in systems for heading in (f"{name}: ms", "%")]
    components = dict.fromkeys(chain.from_iterable(systems.values()))
    rows = [(name, *chain.from_iterable(_share(each, name) for each in systems.values())) for name in components]
    return ("component", *headings), rows


def direct_table(found: Figures) -> Table:
    """List what three previews cost in one process, by our stages and by other programs."""
    rounds: list[dict[str, dict[str, float]]] = found["direct"]["rounds"]
    rows = []
    for name in rounds[0]:
        compared = compare(rounds, DIRECT, name)["all"]
        rows.append((name, compared.other_median, "" if name == DIRECT else spell_ratio(compared.ratios)))
    return ("CPU for three previews", "ms", "our stages to it (least - most)"), rows


def servers_table(found: Figures) -> Table:
    """List what a job without pixels costs with each broker and each store of blobs."""
    rows: list[tuple[object, ...]] = []
    for key, (name, server) in QUEUES.items():
        if key in found:
            by_process = found[key]["cpu_ms_by_process"]
            rows.append((name, found[key]["cpu_ms"], by_process.get(server), found[key]["jobs_per_s"]))
    return ("messages, blobs", "CPU ms a job", "of which that server", "jobs/s"), rows


def spell_ratio(ratios: Sequence[float | None]) -> str:
    """Write the median of ratios, and their range; `-` without any."""
    present = [value for value in ratios if value is not None]
    return f"{median(present):.2f} ({min(present):.2f} - {max(present):.2f})" if present else "-"


def spell_range(values: Sequence[float]) -> str:
    """Write the least and the most."""
    return f"{format_figure(min(values))} - {format_figure(max(values))}"


def tables(found: Figures) -> dict[str, Table]:
    """Return the tables that the figures have."""
    return dict(_tables(found))


def _tables(found: Figures) -> Iterator[tuple[str, Table]]:
    parts: Mapping[str, Any] = found.get("compare", {}).get("rounds", {})
    if parts:
        yield "before", before_table(found)
        yield "peers", peers_table(found)
    if "race" in parts:
        yield "race", race_table(found)
    if "direct" in found:
        yield "direct", direct_table(found)
    if QUEUES.keys() & found.keys():
        yield "servers", servers_table(found)
    if "profile" in found:
        yield "components", components_table(found)


def _cells(compared: Comparison | None) -> tuple[object, object]:
    return ("-", "-") if compared is None else (compared.other_median, spell_ratio(compared.ratios))


def _share(parts: Mapping[str, float], name: str) -> tuple[float, float]:
    value = parts.get(name, 0.0)
    return value, value / sum(parts.values()) * 100
