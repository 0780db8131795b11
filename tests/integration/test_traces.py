"""Traces: one from an upload to the end of its job, over real sockets to a collector; and nothing at all when off."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from deploy.local.processes import ROOT
from deploy.local.stack import Stack
from pipeline import traces
from tests.integration.api_helpers import wait_for_end, wait_until
from tests.integration.collector import Collector, Span, run_collector
from tests.integration.conftest import AsOwner
from tests.integration.log_lines import find_log_lines, select_events
from tests.support.images import encode_image, photo

STAGES = ("validate", "normalize", "small", "medium", "large", "finalize")
NOBODY = "http://127.0.0.1:1"  # a port that nothing listens on
PHOTO = encode_image(photo(), "jpeg")

Trace = dict[str, Span]


@pytest.fixture(scope="module")
def client(as_owner: AsOwner) -> httpx.Client:
    """A client of the stack that is traced."""
    return as_owner("ida")


def _uploaded(client: httpx.Client, unlike: str, **headers: str) -> tuple[str, str]:
    """Upload an image that is like no other; the ids of its job and of its request."""
    content = PHOTO + unlike.encode()
    answer = client.post("/upload", files={"file": ("p.jpg", content)}, headers=headers).raise_for_status()
    return answer.json()["task_id"], answer.headers["x-request-id"]


def _runs(trace: Trace) -> list[Span]:
    """Return the runs of stages, in the order of their begin."""
    runs = [span for span in trace.values() if span.kind == "CONSUMER" and span.darkroom_attribute("stage")]
    return sorted(runs, key=lambda span: span.start_ns)


def _root(trace: Trace) -> Span:
    [root] = [span for span in trace.values() if not span.parent_id]
    return root


@pytest.fixture(scope="module")
def task_and_trace(client: httpx.Client, collector: Collector) -> tuple[str, str]:
    """A job that is done and told of, and the id of its trace."""
    task_id, trace_id = _uploaded(client, "one")
    assert wait_for_end(client, task_id)["status"] == "done"
    wait_until(lambda: _is_whole(collector.trace(trace_id)), "every span")
    return task_id, trace_id


def _is_whole(trace: Trace) -> bool:
    """Whether every stage has been told of, and every span's parent."""
    stages = {run.darkroom_attribute("stage") for run in _runs(trace)}
    return stages == set(STAGES) and all(span.parent_id in trace for span in trace.values() if span.parent_id)


@pytest.fixture(scope="module")
def trace(task_and_trace: tuple[str, str], collector: Collector) -> Trace:
    return collector.trace(task_and_trace[1])


def test_a_trace_begins_with_the_upload(trace: Trace, task_and_trace: tuple[str, str]) -> None:
    root = _root(trace)

    assert (root.service, root.name, root.kind) == ("darkroom-gateway", "POST /upload", "SERVER")
    assert (root.darkroom_attribute("task_id"), root.darkroom_attribute("request_id")) == task_and_trace


def test_every_stage_is_a_child_of_the_upload(trace: Trace) -> None:
    runs, root = _runs(trace), _root(trace)

    assert {run.parent_id for run in runs} == {root.id}
    assert sorted(str(run.darkroom_attribute("stage")) for run in runs) == sorted(STAGES)
    assert {run.service for run in runs} == {
        f"darkroom-worker-{queue}" for queue in ("validate", "normalize", "resize", "finalize")
    }


def test_every_stage_tells_how_long_it_waited_and_what_came_of_it(
    trace: Trace, task_and_trace: tuple[str, str]
) -> None:
    for run in _runs(trace):
        waited = run.darkroom_attribute("queue_wait_ms")
        assert isinstance(waited, int)
        assert waited >= 0
        assert (run.darkroom_attribute("task_id"), run.darkroom_attribute("request_id")) == task_and_trace
        assert (run.darkroom_attribute("attempt"), run.darkroom_attribute("outcome")) == (1, "done")


def test_every_stage_is_linked_to_the_message_that_brought_it(trace: Trace) -> None:
    by_stage = {str(run.darkroom_attribute("stage")): run for run in _runs(trace)}
    senders = {stage: trace[trace[run.links[0]].parent_id] for stage, run in by_stage.items()}

    assert {trace[run.links[0]].kind for run in by_stage.values()} == {"PRODUCER"}
    assert senders["validate"].service == "darkroom-gateway"
    assert senders["normalize"] == by_stage["validate"]
    assert {senders[name].id for name in ("small", "medium", "large")} == {by_stage["normalize"].id}
    assert senders["finalize"] in [by_stage[name] for name in ("small", "medium", "large")]


def test_what_is_asked_of_the_stores_is_part_of_the_trace(trace: Trace) -> None:
    root, [first, *_] = _root(trace), _runs(trace)

    asked = {(span.parent_id, span.attributes["db.system"]) for span in trace.values() if span.kind == "CLIENT"}
    assert {(root.id, "mongodb"), (first.id, "mongodb")} <= asked
    assert "redis" in {system for parent, system in asked if parent in trace}


def test_no_loop_and_no_probe_begins_a_trace(client: httpx.Client, trace: Trace, collector: Collector) -> None:
    assert trace
    for path in ("/livez", "/readyz", "/metrics"):
        assert client.get(path).is_success
    last = client.get("/capabilities").headers["x-request-id"]
    wait_until(lambda: bool(collector.trace(last)), "the trace of the last request")

    begun = {(span.kind, span.name) for span in list(collector.spans) if not span.parent_id}
    assert {kind for kind, _ in begun} == {"SERVER"}
    assert not [name for _, name in begun if name.split()[-1] in {"/livez", "/readyz", "/metrics"}]


def test_no_span_tells_what_was_sent(trace: Trace, collector: Collector) -> None:
    assert trace
    told = json.dumps([span.attributes for span in list(collector.spans)])
    assert "key of ida" not in told
    assert "p.jpg" not in told


def test_no_span_tells_the_token_in_a_query(client: httpx.Client, collector: Collector) -> None:
    answer = client.get("/capabilities?first=1&token=head.claims.signature&token=another&sig=signed&last=2")

    wait_until(lambda: bool(collector.trace(answer.headers["x-request-id"])), "the trace")
    told = json.dumps([span.attributes for span in list(collector.spans)])
    assert "token=..." in told
    assert "sig=..." in told
    assert "last=2" in told
    assert "claims" not in told
    assert "another" not in told
    assert "signed" not in told


def test_a_request_goes_on_with_the_trace_of_its_caller(client: httpx.Client, collector: Collector) -> None:
    caller = "4bf92f3577b34da6a3ce929d0e0e4736"

    task_id, request_id = _uploaded(client, "two", traceparent=f"00-{caller}-00f067aa0ba902b7-01")
    wait_for_end(client, task_id)

    assert request_id == caller
    wait_until(lambda: len(_runs(collector.trace(caller))) == len(STAGES), "the spans of every stage")


@pytest.fixture(scope="module")
def sent_by_the_sweeper(client: httpx.Client, strict_stack: Stack) -> tuple[str, str]:
    """A job that was accepted while no broker took its message."""
    strict_stack.stop_process("redis")
    try:
        task_id, trace_id = _uploaded(client, "three")
        wait_until(
            lambda: bool(select_events(find_log_lines(strict_stack, task_id), "job.undispatched")),
            "the message to be refused",
        )
    finally:
        strict_stack.start_process("redis")
    assert wait_for_end(client, task_id)["status"] == "done"
    return task_id, trace_id


def test_a_job_that_the_sweeper_sends_goes_on_in_its_trace(
    sent_by_the_sweeper: tuple[str, str], collector: Collector
) -> None:
    _, trace_id = sent_by_the_sweeper

    wait_until(lambda: _is_whole(collector.trace(trace_id)), "every span")

    trace = collector.trace(trace_id)
    root = _root(trace)
    attempts = [span for span in trace.values() if span.name == "apply_async/validate"]
    assert {span.service for span in attempts} == {"darkroom-gateway"}
    assert len(attempts) > len([span for span in attempts if span.parent_id == root.id]) > 0  # the sweeper has no other
    assert {run.parent_id for run in _runs(trace)} == {root.id}


def test_a_job_that_the_sweeper_sends_keeps_its_request_in_the_logs(
    sent_by_the_sweeper: tuple[str, str], strict_stack: Stack
) -> None:
    task_id, request_id = sent_by_the_sweeper

    lines = select_events(
        find_log_lines(strict_stack, task_id), "job.accepted", "job.undispatched", "job.dispatched", "stage.done"
    )

    assert {line["request_id"] for line in lines} == {request_id}
    assert max(line["generation"] for line in select_events(lines, "job.dispatched")) > 0
    assert len(select_events(lines, "stage.done")) == len(STAGES)


def _run(code: str, **environment: str) -> str:
    """Run some code in a process of its own, and return what it said."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=clean | environment, capture_output=True, text=True, check=True
    )
    return done.stdout + done.stderr


MODULES = "import sys, json; print(json.dumps([name for name in sys.modules]))"
THIRD_PARTIES = "import fastapi.applications, fastapi.telemetry, redis, redis.asyncio"
"""What imports something of OpenTelemetry by itself where it is installed: parts of it that send nothing."""
PROCESSES = {
    "gateway": "from gateway.app import production\nproduction()",
    "worker": "import pipeline.worker, pipeline.tasks\nfrom pipeline import traces\ntraces.start('worker')",
}
OFF = {
    "unset": {},
    "empty": {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
    "disabled": {"OTEL_EXPORTER_OTLP_ENDPOINT": NOBODY, "OTEL_SDK_DISABLED": "true"},
}


def _modules(code: str, **environment: str) -> set[str]:
    """Return what is imported of OpenTelemetry, and of ours to go with it, by a process that runs this code."""
    modules = json.loads(_run(f"{code}\n{MODULES}", **environment).splitlines()[-1])
    return {name for name in modules if name.startswith(("opentelemetry", "pipeline.telemetry"))}


@pytest.fixture(scope="module")
def imported_by_others() -> set[str]:
    return _modules(THIRD_PARTIES)


@pytest.mark.parametrize("environment", OFF.values(), ids=OFF)
def test_traces_are_off_unless_they_are_sent_somewhere(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name in OFF["disabled"]:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert traces.telemetry_class.__wrapped__() is None


@pytest.mark.parametrize("code", PROCESSES.values(), ids=PROCESSES)
def test_a_process_that_is_not_traced_imports_nothing_for_it(code: str, imported_by_others: set[str]) -> None:
    modules = _modules(code)

    assert modules <= imported_by_others
    assert not [
        name for name in modules if name.startswith(("opentelemetry.exporter", "opentelemetry.instrumentation"))
    ]


def test_a_process_that_is_traced_imports_what_sends_traces(imported_by_others: set[str]) -> None:
    modules = _modules(PROCESSES["worker"], OTEL_EXPORTER_OTLP_ENDPOINT=NOBODY)

    assert {"pipeline.telemetry", "opentelemetry.instrumentation.celery"} <= modules - imported_by_others


def test_where_packages_are_missing_one_warning_says_so_and_work_goes_on() -> None:
    code = """
import sys
sys.modules["opentelemetry.sdk"] = None  # as where it is not installed
from gateway.app import production
from pipeline import traces
app = production()
traces.start("once more")
print(app.title, traces.traceparent())
"""
    said = _run(code, OTEL_EXPORTER_OTLP_ENDPOINT=NOBODY, DARKROOM_LOG_FORMAT="json")

    [warning] = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert (warning["event"], warning["level"]) == ("traces.unavailable", "warning")
    assert "Darkroom None" in said


LAST_SPAN = """
from pipeline import traces
traces.start("brief")
tracer = traces._active_telemetry[0]._provider.get_tracer("test")
with tracer.start_as_current_span("last"):
    traces.annotate(stage="small", attempt=None)
traces.stop()
traces.stop()
print("ended")
"""


@pytest.fixture
def own_collector() -> Iterator[Collector]:
    with run_collector() as collector:
        yield collector


def test_a_process_that_ends_sends_what_is_left(own_collector: Collector) -> None:
    an_hour = str(3600 * 1000)
    _run(LAST_SPAN, OTEL_EXPORTER_OTLP_ENDPOINT=own_collector.url, OTEL_BSP_SCHEDULE_DELAY=an_hour)

    [span] = own_collector.spans
    assert (span.service, span.name, span.attributes) == ("brief", "last", {"darkroom.stage": "small"})


def test_a_process_may_be_given_another_name(own_collector: Collector) -> None:
    _run(LAST_SPAN, OTEL_EXPORTER_OTLP_ENDPOINT=own_collector.url, OTEL_SERVICE_NAME="my-darkroom")

    assert [span.service for span in own_collector.spans] == ["my-darkroom"]


def test_a_process_ends_whether_or_not_somebody_takes_its_traces() -> None:
    assert "ended" in _run(LAST_SPAN, OTEL_EXPORTER_OTLP_ENDPOINT=NOBODY)
