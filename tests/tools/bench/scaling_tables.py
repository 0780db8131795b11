"""The tables of deploy/docs/SCALING.md, written anew from the figures of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from tests.tools.bench.bench import Figures, format_figure

PATH, PERFORMANCE = Path("deploy/docs/SCALING.md"), Path("deploy/docs/PERFORMANCE.md")
Table = tuple[Sequence[str], Sequence[Sequence[object]]]
WORKERS = ("validate", "normalize", "resize", "transform", "finalize")


def write(path: Path, tables: dict[str, Table]) -> None:
    """Replace each table between its marks, `<!-- name -->` and `<!-- end -->`; KeyError for a table without marks."""
    text = path.read_text(encoding="utf-8")
    for name, (headings, rows) in tables.items():
        before, begin, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        if not end:
            raise KeyError(f"{path} has no place for {name}")
        text = "".join((before, begin, markdown(headings, rows), end, after))
    path.write_text(text, encoding="utf-8")


def markdown(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Write a table as Markdown."""
    lines = [headings, ["---"] * len(headings), *([format_figure(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def race_medians(found: Figures) -> Figures:
    """Return what Darkroom did and used in a race: of each figure the median of all rounds."""
    own = [samples[0] for samples in found["race"]["rounds"]]
    recorded_names = [name for name in ("cpu_ms", "jobs_per_s", "redis_commands") if name in own[0]]
    by_process = [each["cpu_ms_by_process"] for each in own]
    return {
        **{name: median(each[name] for each in own) for name in recorded_names},
        "cpu_ms_by_process": {name: median(each[name] for each in by_process) for name in by_process[0]},
    }


def measurement_table(found: Figures) -> Table:
    """List the figures that the formulas are fed with; `-` for what the run did not measure."""
    rows: list[tuple[str, str, Callable[[Figures], object], str]] = [
        ("`w`", "CPU of the workers, ms", _workers, "race"),
        ("", "of which validate, normalize, three resizes, finalize", _by_stage, "race"),
        ("`g`", "CPU of the gateway: upload, a long poll, notifications, ms", _cpu_of("gateway"), "race"),
        ("`r`", "CPU of Redis, ms", _cpu_of("redis"), "race"),
        ("`m`", "CPU of the embedded Mongo, ms", _cpu_of("mongo"), "race"),
        ("`c`", "all of these, ms", lambda of: race_medians(of)["cpu_ms"], "race"),
        ("", "jobs a second of the whole stack, 16 in flight", lambda of: race_medians(of)["jobs_per_s"], "race"),
        ("", "commands of Redis", lambda of: race_medians(of)["redis_commands"], "race"),
        ("", "writes of Mongo: the insert, a claim and a completion of each of six stages", lambda _: 13, "the code"),
        ("", "what no pipeline can go under: a decode and three encodes, ms of CPU", _floor, "floor"),
        ("", "CPU without pixels: queue, documents, blobs, ms", lambda of: of["queue"]["cpu_ms"], "queue"),
        ("", "of which workers, ms", lambda of: of["queue"]["worker_cpu_ms"], "queue"),
        ("`h`", "CPU of a gateway for one notification, ms", lambda of: of["upload"]["hint_cpu_ms"], "upload"),
        ("", "CPU of the gateway for a POST of 1 MB, ms", _request("POST /upload, 1 MB"), "upload"),
        ("", "for one of 24 MB, ms", _request("POST /upload, 24 MB"), "upload"),
        ("", "for a GET of a status, ms", _request("GET /task-status"), "upload"),
        ("`o`", "bytes of an original", _bytes("original_bytes"), "footprint"),
        ("`k`", "bytes of the original and its renditions", _bytes("blob_bytes_kept"), "footprint"),
        ("`d`", "bytes of the document", _bytes("document_bytes"), "footprint"),
        ("`b`", "bytes in Redis of a job that waits", _bytes("queued_bytes_in_redis"), "footprint"),
        ("", "run of normalize for 2, 12, 50 megapixels, ms", _normalize, "growth"),
        ("", "memory of all workers after load, PSS, MiB", _memory, "memory"),
        ("", "memory of all processes 12 s after load, PSS, MiB", _all_memory, "memory"),
        ("", "with one pool, in a server of 1 GiB", lambda of: sum(of["small"]["pss_mib"].values()), "small"),
        ("", "CPU of a stack without work, % of a core", _still, "still"),
        ("", "one photo of 12 megapixels alone: done p50, first preview p50, ms", _idle, "idle"),
        ("", "p95 of a 2 MP photo alone; beside one of 50 MP; behind a burst, ms", _p95s, "fairness"),
        ("", "jobs a second of 10, 100, 1000 tiny ones that were queued", _drained, "backlog"),
    ]
    shown = [
        (symbol, what, _get_or_none(take, found), f"`{source}`", _when(found, source))
        for symbol, what, take, source in rows
    ]
    return ("symbol", "of one job", "figure", "from", "at; load average before, after"), shown


def _get_or_none(take: Callable[[Figures], object], found: Figures) -> object:
    try:
        return take(found)
    except KeyError:
        return None


def _when(found: Figures, source: str) -> str:
    ran = found.get(source, {})
    if "load_average" not in ran:
        return "-"
    before, after = (loads[0] for loads in ran["load_average"])
    return f"{ran['at'][:10]}; {before:.1f}, {after:.1f}"


def _cpu_of(name: str) -> Callable[[Figures], float]:
    return lambda found: float(race_medians(found)["cpu_ms_by_process"][name])


def _workers(found: Figures) -> float:
    return sum(_cpu_of(name)(found) for name in WORKERS)


def _by_stage(found: Figures) -> str:
    return ", ".join(format_figure(_cpu_of(name)(found)) for name in WORKERS if name != "transform")


def _floor(found: Figures) -> float:
    return float(found["floor"]["decode_ms"] + found["floor"]["encode_ms"])


def _request(name: str) -> Callable[[Figures], float]:
    return lambda found: float(found["upload"][name]["cpu_ms"])


def _bytes(name: str) -> Callable[[Figures], str]:
    return lambda found: f"{found['footprint'][name]:,}"


def _normalize(found: Figures) -> str:
    return ", ".join(
        format_figure(float(found["growth"][size]["stages"]["normalize"]["run_ms"])) for size in ("2", "12", "50")
    )


def _memory(found: Figures) -> float:
    return float(sum(found["memory"]["after"][name]["pss_mib"] for name in WORKERS))


def _all_memory(found: Figures) -> float:
    return float(found["memory"]["pss_mib_by_group"]["all"]["rested"])


def _still(found: Figures) -> float:
    return float(found["still"]["percent_of_a_core"]["after"]["all"])


def _idle(found: Figures) -> str:
    alone = found["idle"]["12mp"]
    return "; ".join(format_figure(float(alone[name])) for name in ("p50_ms", "first_preview_p50_ms"))


def _p95s(found: Figures) -> str:
    return "; ".join(format_figure(each["p95_ms"]) for each in found["fairness"].values() if isinstance(each, dict))


def _drained(found: Figures) -> str:
    return ", ".join(format_figure(float(found["backlog"][depth]["all_per_s"])) for depth in ("10", "100", "1000"))
