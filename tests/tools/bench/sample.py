"""What one run of load came to: rates, times and costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median, quantiles
from typing import Any

from tests.tools.bench.usage import Usage

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class EndedJob:
    """One job: when its first byte was sent (epoch seconds), and its status once it had ended."""

    sent: float
    answer: dict[str, Any]

    @property
    def ms(self) -> float:
        """From the first byte sent to the end, by the system's own clock: it is this machine's."""
        if "done_ms" in self.answer:
            return float(self.answer["done_ms"]) - self.sent * 1000
        return self._since(self.answer["finished_at"])

    @property
    def first_preview_ms(self) -> float:
        """From the first byte sent to the first rendition made, by the system's own clock."""
        if "first_preview_ms" in self.answer:
            return float(self.answer["first_preview_ms"]) - self.sent * 1000
        stages = self.answer["stages"]
        return min(self._since(stages[name]["finished_at"]) for name in self.answer["renditions"])

    def _since(self, moment: str) -> float:
        return (datetime.fromisoformat(moment).timestamp() - self.sent) * 1000


@dataclass(frozen=True, slots=True)
class Sample:
    """One run. Times in milliseconds, memory in MiB, all costs for one job."""

    system: str
    seconds: float
    ended: Sequence[EndedJob]
    used: Usage
    driver_cpu_ms: float

    @property
    def rate(self) -> float:
        """Jobs a second."""
        return len(self.ended) / self.seconds

    @property
    def p50_ms(self) -> float:
        """The median time of a job."""
        return median(each.ms for each in self.ended)

    @property
    def p95_ms(self) -> float:
        """The time that 95 of 100 jobs stay under."""
        return p95([each.ms for each in self.ended])

    @property
    def cpu_by_process(self) -> dict[str, float]:
        """Processor time of each process."""
        return {name: ms / len(self.ended) for name, ms in self.used.cpu_ms.items()}

    @property
    def cpu_ms(self) -> float:
        """Processor time of all processes together."""
        return sum(self.cpu_by_process.values())

    def figures(self) -> dict[str, Any]:
        """Return all of it, as it goes into the JSON file."""
        jobs, operations = len(self.ended), self.used.mongo_operations
        return {
            "system": self.system,
            "jobs": jobs,
            "jobs_per_s": round(self.rate, 3),
            "p50_ms": round(self.p50_ms, 1),
            "p95_ms": round(self.p95_ms, 1),
            "cpu_ms": round(self.cpu_ms, 1),
            "cpu_ms_by_process": {name: round(ms, 2) for name, ms in self.cpu_by_process.items()},
            "rss_mib": {name: round(size / MIB, 1) for name, size in self.used.resident.items()},
            "redis_commands": round(self.used.redis_commands / jobs, 1),
            "redis_by_name": {name: round(n / jobs, 2) for name, n in self.used.redis_by_name.items() if n},
            "mongo_operations": None if operations is None else round(operations / jobs, 1),
            "stages": stage_times(each.answer for each in self.ended),
            "driver_cpu_ms": round(self.driver_cpu_ms, 1),
        }


def stage_times(answers: Iterable[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return the median wait and run of each stage that any job went through, in milliseconds."""
    spans: dict[str, list[tuple[float, float]]] = {}
    for answer in answers:
        for name, stage in answer.get("stages", {}).items():
            if stage["run_ms"] is not None:
                spans.setdefault(name, []).append((stage["queue_wait_ms"] or 0, stage["run_ms"]))
    return {
        name: {"wait_ms": median(wait for wait, _ in found), "run_ms": median(run for _, run in found)}
        for name, found in spans.items()
    }


def p95(values: Sequence[float]) -> float:
    """Return what 95 of 100 values stay under; of one value, itself."""
    return quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]
