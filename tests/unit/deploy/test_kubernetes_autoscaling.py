"""How the pools of the overlay `production` grow and shrink: by what Prometheus says, never by its silence."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # its types are another package

from deploy.generate.kustomize import Manifest, render
from pipeline.routing import QUEUES
from tests.support.prometheus_config import ROOT, find_program, rules, selectors

RECORDS = {rule["record"] for rule in rules() if "record" in rule}
SCALED = {
    each["metadata"]["labels"]["darkroom/queue"]: each
    for each in render(ROOT / "deploy" / "kubernetes" / "overlays" / "production")
    if each["kind"] == "ScaledObject"
}

every_queue = pytest.mark.parametrize("queue", QUEUES)


def queries_of(scaled: Manifest) -> dict[str, str]:
    return {trigger["name"]: trigger["metadata"]["query"] for trigger in scaled["spec"]["triggers"]}


@every_queue
def test_a_pool_grows_by_records_that_there_are(queue: str) -> None:
    queries = queries_of(SCALED[queue]).values()

    assert {name for query in queries for name in selectors(query)} <= RECORDS
    assert all(f'queue="{queue}"' in query for query in queries)


@every_queue
def test_a_pool_keeps_its_size_while_prometheus_says_nothing(queue: str) -> None:
    spec = SCALED[queue]["spec"]

    assert spec["fallback"]["behavior"] == "currentReplicasIfHigher"
    assert {trigger["metadata"]["ignoreNullValues"] for trigger in spec["triggers"]} == {"false"}


@pytest.mark.parametrize(
    ("series", "work", "age"),
    [
        ({"queue_length:max": 40, "stage_duration_seconds:mean30m": 2, "queue_oldest_age_seconds:max": 9}, 80, 9),
        ({"queue_length:max": 40, "queue_oldest_age_seconds:max": 9}, 0, 9),  # nothing was run lately
        ({"queue_length:max": 0, "queue_oldest_age_seconds:max": 0}, 0, 0),
        ({"stage_duration_seconds:mean30m": 2}, None, None),  # no gateway is scraped: null, which is an error for KEDA
        ({}, None, None),
    ],
)
def test_prometheus_answers_zero_for_an_idle_pool_and_nothing_for_one_that_it_does_not_know(
    tmp_path: Path, series: dict[str, int], work: int | None, age: int | None
) -> None:
    wanted = {"work": work, "age": age}
    cases = [
        {"expr": query, "eval_time": "1m", "exp_samples": [{"labels": "{}", "value": wanted[name]}]}
        if wanted[name] is not None
        else {"expr": query, "eval_time": "1m", "exp_samples": []}
        for scaled in SCALED.values()
        for name, query in queries_of(scaled).items()
    ]
    samples = [
        {"series": f'queue:darkroom_{name}{{queue="{queue}"}}', "values": f"{value}x3"}
        for name, value in series.items()
        for queue in QUEUES
    ]
    file = tmp_path / "scaling_test.yml"
    test = {"interval": "1m", "input_series": samples, "promql_expr_test": cases}
    file.write_text(yaml.safe_dump({"rule_files": [], "tests": [test]}), encoding="utf-8")

    done = subprocess.run(
        [find_program("promtool"), "test", "rules", file], capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 0, done.stdout + done.stderr
