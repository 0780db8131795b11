"""What Prometheus is configured to scrape, record and alert on."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from deploy.generate import runbook_page
from deploy.generate.kubernetes_rules import CONSOLE
from pipeline.routing import QUEUES
from tests.support.prometheus_config import (
    PROMETHEUS_FOLDER,
    ROOT,
    find_program,
    groupings,
    load_yaml,
    rules,
    selectors,
)

ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}
RECORDS = {rule["record"]: rule for rule in rules() if "record" in rule}
TEST_FILES = sorted(PROMETHEUS_FOLDER.glob("*_test.yml"))
CASES = [case for file in TEST_FILES for case in load_yaml(file)["tests"]]
RUNBOOK = (
    (ROOT / "deploy/docs/RUNBOOK.md").read_text(encoding="utf-8").partition("\n## Alerts\n")[2].partition("\n## ")[0]
)
SECTIONS = dict(re.findall(r"^### (\w+)\n(.*?)(?=^### |\Z)", RUNBOOK, re.MULTILINE | re.DOTALL))
CONFIGURATION = load_yaml(PROMETHEUS_FOLDER / "prometheus.yml")
JOBS = {scraped["job_name"]: scraped for scraped in CONFIGURATION["scrape_configs"]}


def promtool(*arguments: str | Path) -> None:
    rarer_collections = {**os.environ, "GOGC": "400"}
    done = subprocess.run(
        [find_program("promtool"), *arguments], env=rarer_collections, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_accepts_its_configuration() -> None:
    promtool("check", "config", PROMETHEUS_FOLDER / "prometheus.yml")


@pytest.mark.parametrize("file", TEST_FILES, ids=lambda file: file.stem)
def test_rules_do_what_their_tests_say(file: Path) -> None:
    promtool("test", "rules", file)


def test_every_pool_is_scraped_by_the_name_of_its_queue() -> None:
    names = [name for found in JOBS["workers"]["dns_sd_configs"] for name in found["names"]]

    assert names == [f"worker-{queue}" for queue in QUEUES]


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_has_a_case_where_it_fires_and_one_where_it_is_silent(alert: str) -> None:
    fires = {
        bool(case["exp_alerts"])
        for group in CASES
        for case in group.get("alert_rule_test", [])
        if case["alertname"] == alert
    }

    assert fires == {True, False}


@pytest.mark.parametrize("record", RECORDS)
def test_every_record_has_a_case(record: str) -> None:
    assert any(record in selectors(case["expr"]) for group in CASES for case in group.get("promql_expr_test", []))


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_leads_to_its_section_of_the_runbook(alert: str) -> None:
    assert ALERTS[alert]["annotations"]["runbook_url"] == f"{CONSOLE}#{alert.lower()}"
    for part in ("Symptom", "Automatic", "Action"):
        assert f"**{part}:**" in SECTIONS[alert]


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_says_how_bad_it_is_and_what_it_is(alert: str) -> None:
    rule = ALERTS[alert]

    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}


def test_the_page_of_the_runbook_is_up_to_date() -> None:
    command = ".venv/bin/python -m deploy.generate.runbook_page"

    assert runbook_page.TARGET.read_text(encoding="utf-8") == runbook_page.render_page(), f"run {command}"


def test_prometheus_sees_no_template_in_the_page_of_the_runbook() -> None:
    assert "{{" not in runbook_page.render_page()


def test_every_link_of_the_page_leads_somewhere() -> None:
    page = runbook_page.render_page()
    ids = re.findall(r' id="([^"]+)"', page)
    inner = [target for target in re.findall(r'href="([^"]+)"', page) if not target.startswith("http")]

    assert len(set(ids)) == len(ids)
    assert {f"#{name}" for name in ids} >= set(inner) | {f"#{alert.lower()}" for alert in ALERTS}


def test_the_runbook_explains_no_alert_that_there_is_not() -> None:
    assert list(SECTIONS) == list(ALERTS)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_every_rule_asks_for_metrics_that_are_exported(
    rule: dict[str, Any], exported_labels: dict[str, set[str]]
) -> None:
    named = selectors(rule["expr"])

    for metric, labels in named.items():
        assert labels <= exported_labels[metric]
    made_here = set(re.findall(r'label_replace\(.*?"(\w+)"', rule["expr"]))
    assert groupings(rule["expr"]) <= made_here.union(*(exported_labels[metric] for metric in named))
