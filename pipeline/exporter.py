"""A worker's exporter: children count in files, one per pool slot; the parent serves their sums over HTTP."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import prometheus_client.values
import structlog
from billiard import current_process
from billiard.pool import EX_OK, EX_RECYCLE
from celery.worker import state
from prometheus_client import CollectorRegistry, Counter, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.values import MultiProcessValue, MutexValue

from pipeline.allocated_dict import AllocatedDict
from pipeline.metrics import NAMESPACE, StageMetrics, UnreadableMessageMetrics, register_build_info
from pipeline.metrics_folder import MetricsFolder
from pipeline.metrics_server import MetricsServer

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client's own
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")

log = structlog.get_logger("metrics")


prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # an extra series per counter, unused


class Exporter:
    """Serves the metrics of one worker over HTTP, from before its pool starts until the worker ends.

    It starts before the first child is forked. So the folder exists for every child, and a port that is in use ends the
    worker at once; otherwise the worker would run without being monitored.
    """

    def __init__(self, *, host: str, port: int, queues: Iterable[str]) -> None:
        self._queues = tuple(queues)
        self._folder = MetricsFolder()
        os.environ[FOLDER_VARIABLE] = str(self._folder.path)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(self._folder.path))  # type: ignore[no-untyped-call]
        ProcessCollector(registry=registry)
        register_build_info(registry)
        self._lost_children = Counter(
            "worker_child_lost",
            "Child processes that died unexpectedly.",
            ["queue"],
            namespace=NAMESPACE,
            registry=registry,
        )
        for queue in self._queues:
            self._lost_children.labels(queue)
        self._unreadable_messages = UnreadableMessageMetrics(registry)
        self._pool = PoolCollector(self._queues)
        registry.register(self._pool)
        generate_latest(registry)  # runs its lazy imports now, not in a thread while a child is forked
        try:
            self._server = MetricsServer(host, port, registry)
        except OSError as error:
            raise SystemExit(f"Cannot serve the metrics on {host}:{port}: {error}") from error

    def observe_pool(self, pool: Any) -> None:
        """Observe a billiard pool: its size, its memory and the children that it loses."""
        self._pool.pool = pool
        clean_up = pool._process_cleanup_queues  # noqa: SLF001  # each reconnection overwrites `on_process_down`

        def count_and_clean_up(child: Any) -> None:
            if child.exitcode not in {EX_OK, EX_RECYCLE}:
                for queue in self._queues:
                    self._lost_children.labels(queue).inc()
            clean_up(child)

        pool._process_cleanup_queues = count_and_clean_up  # noqa: SLF001

    def count_unreadable_message(self) -> None:
        """Count a message that the worker dropped because it cannot read it."""
        self._unreadable_messages.count()

    def close_inherited_files(self) -> None:
        """Close the parent's socket and lock in a child: open copies would stay in use after the parent has ended."""
        self._server.close_inherited_socket()
        self._folder.close_inherited()

    def close(self) -> None:
        """Stop serving and remove the files."""
        self._server.close()
        self._folder.remove()


class PoolCollector(Collector):
    """Gauges of the pool, read by the parent at each scrape."""

    def __init__(self, queues: Iterable[str]) -> None:
        self._queues = tuple(queues)
        self._cpu_seconds = 0.0
        self.pool: Any = None

    def collect(self) -> Iterable[Metric]:
        """Yield the current values."""
        children = [child.pid for child in self.pool._pool] if self.pool else []  # noqa: SLF001  # no public list
        active, reserved = len(state.active_requests), len(state.reserved_requests)
        memory = sum(_resident_bytes(pid) for pid in (os.getpid(), *children))
        yield self._gauge("worker_tasks_active", "Messages that child processes are working on.", active)
        yield self._gauge("worker_tasks_reserved", "Fetched messages that wait for a child.", max(0, reserved - active))
        yield self._gauge("worker_pool_processes", "Child processes of the worker.", len(children))
        yield self._gauge("worker_memory_bytes", "Resident memory of the worker and its children.", memory)
        yield self._read_cpu(children)

    def _gauge(self, name: str, text: str, value: float) -> Metric:
        family = GaugeMetricFamily(f"{NAMESPACE}_{name}", text, labels=["queue"])
        for queue in self._queues:
            family.add_metric([queue], value)
        return family

    def _read_cpu(self, children: Iterable[int]) -> Metric:
        """Return the processor time of the worker, of its children, and of those that have ended.

        A child that ends between the two readings is missed once. The counter never falls: Prometheus would take that
        for a restart and count everything again.
        """
        ended = sum(os.times()[:4])  # its own, and of the children that it has waited for
        self._cpu_seconds = max(self._cpu_seconds, ended + sum(map(_cpu_seconds, children)))
        text = "Processor time of the worker and its children, also of those that have ended."
        family = CounterMetricFamily(f"{NAMESPACE}_worker_cpu_seconds", text, labels=["queue"])
        for queue in self._queues:
            family.add_metric([queue], self._cpu_seconds)
        return family


def child_metrics(stages: Sequence[str], *, sends_webhooks: bool = False) -> StageMetrics:
    """Return the metrics of a child with the series of these stages, stored in the files of its pool slot.

    `sends_webhooks` says that it needs those of webhooks, too.

    The next child in that slot continues them. When the files cannot be written, the child still works, but its counts
    are lost.
    """
    if FOLDER_VARIABLE in os.environ:
        prometheus_client.values.MmapedDict = AllocatedDict  # type: ignore[attr-defined]  # MultiProcessValue uses it
        slot = _slot()
        prometheus_client.values.ValueClass = MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]
        try:
            return _stage_metrics(stages, sends_webhooks=sends_webhooks)
        except OSError as error:
            log.warning("metrics.unwritable", error=repr(error))
            prometheus_client.values.ValueClass = MutexValue
    return _stage_metrics(stages, sends_webhooks=sends_webhooks)


def _stage_metrics(stages: Sequence[str], *, sends_webhooks: bool) -> StageMetrics:
    metrics = StageMetrics(CollectorRegistry())
    metrics.create_series(stages)  # creates the files, too
    if sends_webhooks:
        metrics.webhooks.create_series()
    return metrics


def _slot() -> int:
    return int(getattr(current_process(), "index"))  # noqa: B009  # billiard sets it; its types lack it


def _cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and of its ended children; 0 when it has ended or there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / CLOCK_TICKS
    except (OSError, ValueError):
        return 0


def _resident_bytes(pid: int) -> int:
    """Return the resident memory of a process; 0 when it has ended or the system has no /proc."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES
    except (OSError, IndexError):
        return 0
