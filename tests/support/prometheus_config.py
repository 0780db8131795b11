"""Prometheus for tests: its programs, and what an expression of its language names."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.fast_yaml import load

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS_FOLDER = ROOT / "deploy" / "prometheus"
DASHBOARDS = ROOT / "deploy" / "grafana" / "dashboards"
PACKAGES = ("prometheus", "prometheus-alertmanager", "prometheus-redis-exporter")
UNPACKED = [ROOT / ".cache" / name / "usr" / "bin" for name in PACKAGES]

TOKEN = re.compile(
    r"""(?P<text>"(?:\\.|[^"\\])*")|(?P<window>\[[^]]*])|(?P<number>\d[\w.]*)|(?P<word>[a-zA-Z_:][\w:]*)|\S"""
)
MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')
GROUPINGS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
WORDS = {"and", "or", "unless", "bool", "offset", "sum", "min", "max", "count", "avg"}
PROMETHEUS_METRICS = {"up": {"job", "instance", "pool"}, "ALERTS": {"alertname", "alertstate", "severity"}}
PROMETHEUS_METRICS["ALERTS_FOR_STATE"] = PROMETHEUS_METRICS["ALERTS"]
_REDIS_COMMAND, _MONGO_OPERATION, _MONGO_DATABASE = {"cmd"}, {"op_type"}, {"database"}
EXPORTER_METRICS: dict[str, set[str]] = {  # those that are asked for, of programs that are not ours
    **{f"nginx_connections_{name}": set() for name in ("active", "reading", "writing", "waiting", "opened_total")},
    **{f"redis_{name}": set() for name in ("up", "uptime_in_seconds", "connected_clients", "blocked_clients")},
    **{f"redis_memory_{name}_bytes": set() for name in ("used", "used_rss", "max")},
    **{f"redis_{name}_total": set() for name in ("commands_processed", "evicted_keys", "rejected_connections")},
    **{f"redis_cpu_{name}_seconds_total": set() for name in ("user", "sys")},
    **{f"redis_commands_{name}": _REDIS_COMMAND for name in ("total", "duration_seconds_total")},
    "redis_db_keys": {"db"},
    **{f"darkroom_redis_memory_{name}_bytes": set() for name in ("used", "max")},  # of the gateway
    **{f"mongodb_{name}": set() for name in ("up", "ss_uptime")},
    "mongodb_ss_connections": {"conn_type"},
    **{f"mongodb_ss_opLatencies_{name}": _MONGO_OPERATION for name in ("ops", "latency")},
    "mongodb_ss_wt_cache_bytes_currently_in_the_cache": set(),
    "mongodb_ss_wt_cache_tracked_dirty_bytes_in_the_cache": set(),
    "mongodb_ss_wt_cache_maximum_bytes_configured": set(),
    **{f"mongodb_dbstats_{name}": _MONGO_DATABASE for name in ("objects", "dataSize", "storageSize", "indexSize")},
}


def find_program(name: str) -> str:
    """Return the path of Prometheus or a program around it; without it the test is skipped, in CI it fails."""
    if found := shutil.which(name) or shutil.which(name, path=os.pathsep.join(map(str, UNPACKED))):
        return found
    reason = f"{name} is neither on PATH nor in .cache: .ci/run shows how it gets there"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def load_yaml(file: Path) -> Any:
    """Return what a YAML file holds."""
    return load(file.read_text(encoding="utf-8"))


def rules() -> list[dict[str, Any]]:
    """Return every recording and alerting rule."""
    groups = load_yaml(PROMETHEUS_FOLDER / "rules.yml")["groups"]
    return [rule for group in groups for rule in group["rules"]]


def load_dashboards() -> dict[str, dict[str, Any]]:
    """Return every dashboard as it is checked in, by its file's stem."""
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(DASHBOARDS.glob("*.json"))}


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a dashboard's panels without the headings between them."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def selectors(expression: str) -> dict[str, set[str]]:
    """Return the metrics that an expression names, each with the labels that it is chosen by."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for name, labels in _selectors(expression):
        found[name] |= labels
    return dict(found)


def groupings(expression: str) -> set[str]:
    """Return the labels that an expression groups and joins by."""
    lists = re.findall(rf"\b(?:{'|'.join(GROUPINGS)})\s*\(([^)]*)\)", expression)
    return {label.strip() for labels in lists for label in labels.split(",")}


def _selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    position = 0
    while match := TOKEN.search(expression, position):
        position = match.end()
        word, rest = match["word"], expression[position:].lstrip()
        if not word or word in WORDS:
            continue
        if word in GROUPINGS:
            position = expression.index(")", position)
        elif rest.startswith("{"):
            end = expression.index("}", position)
            yield word, set(MATCHER.findall(expression[position:end]))
            position = end
        elif not rest.startswith("("):
            yield word, set()
