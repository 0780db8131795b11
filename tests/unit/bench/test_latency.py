"""How long one photo takes, by the system's own clock and by a client's."""

from __future__ import annotations

import pytest

from tests.tools.bench.latency import Latencies
from tests.tools.bench.load import has_preview
from tests.tools.bench.sample import EndedJob
from tests.tools.bench.usage import Usage

SENT = 1_700_000_000.0


def test_the_cpu_of_a_job_counts_photos_that_a_client_watched_and_those_it_did_not() -> None:
    latencies = Latencies([100.0, 200.0], [50.0, 70.0], [110.0, 230.0], [60.0, 80.0])
    latencies.used = Usage({"gateway": 40.0, "redis": 8.0}, {})

    found = latencies.figures()

    assert latencies.cpu_by_process == {"gateway": 10, "redis": 2}
    assert (found["done p50 ms"], found["first preview p50 ms"], found["CPU ms"]) == (150, 60, 12)
    assert (found["seen: done p50 ms"], found["seen: first preview p50 ms"]) == (170, 70)


def test_the_time_of_a_file_is_the_first_preview_of_a_system_that_tells_of_none() -> None:
    ended = EndedJob(SENT, {"done_ms": SENT * 1000 + 80, "first_preview_ms": SENT * 1000 + 60})

    assert ended.ms == pytest.approx(80)
    assert ended.first_preview_ms == pytest.approx(60)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"status": "processing"}, False),
        ({"stages": {"normalize": {"state": "done"}, "small": {"state": "running"}}}, False),
        ({"stages": {"normalize": {"state": "done"}, "small": {"state": "done"}}}, True),
    ],
)
def test_an_answer_shows_a_preview_once_a_rendition_is_made(answer: dict[str, object], expected: bool) -> None:
    assert has_preview(answer) is expected
