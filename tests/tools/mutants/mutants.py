"""The mutants: small changes that break what reliability rests on, each with the tests that must notice.

A mutant whose code has changed is to follow it: `tests/unit/test_mutants.py` finds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of the text of one file, and the files with tests that must fail with it."""

    name: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]

    def apply(self, tree: Path) -> str:
        """Change the file in a tree; return its text before. Raises ValueError unless `old` is in it exactly once."""
        file = tree / self.path
        text = file.read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: {self.path} has the text {text.count(self.old)} times")
        file.write_text(text.replace(self.old, self.new), encoding="utf-8")
        return text


_SWEEPER, _LEDGER, _JOBS = "pipeline/sweeper.py", "storage/ledger.py", "storage/jobs.py"
_CELERY, _BLOBS, _RUN = "pipeline/celery.py", "storage/blobs.py", "pipeline/stage_run.py"
_SUBMISSION, _LEASE = "gateway/submission/submission.py", "gateway/submission/key_lease.py"
_TIDIER = "pipeline/tidying/tidier.py"

MUTANTS = (
    Mutant(
        "the sweeper redispatches nothing",
        _SWEEPER,
        "for job in due:",
        "for job in due[:0]:",
        ("tests/unit/pipeline/test_sweeper_dispatch.py",),
    ),
    Mutant(
        "the sweeper is not started",
        "gateway/app.py",
        "for each in (sweeper, tidier,",
        "for each in (tidier,",
        ("tests/unit/gateway/test_app.py",),
    ),
    Mutant(
        "messages are acknowledged before the run",
        _CELERY,
        '"task_acks_late": True',
        '"task_acks_late": False',
        ("tests/unit/pipeline/test_celery.py",),
    ),
    Mutant(
        "the message of a killed process is not delivered again",
        _CELERY,
        '"task_reject_on_worker_lost": True',
        '"task_reject_on_worker_lost": False',
        ("tests/unit/pipeline/test_celery.py",),
    ),
    Mutant(
        "writes are answered before they are journaled",
        "storage/stores.py",
        '"journal": True',
        '"journal": False',
        ("tests/unit/storage", "tests/contract/test_jobs.py", "tests/contract/test_replica_set.py"),
    ),
    Mutant(
        "the answer comes before the insert",
        _SUBMISSION,
        "await self.stores.jobs.insert(job)  # may",
        "self.background.add_task(self.stores.jobs.insert, job)  # may",
        ("tests/unit/gateway/test_jobs.py", "tests/contract/test_submission.py", "tests/contract/test_retries.py"),
    ),
    Mutant(
        "a run that was taken over is not fenced",
        _LEDGER,
        '            f"{prefix}.attempts": claim.attempt,\n        }\n        versioned',
        "        }\n        versioned",
        ("tests/contract/test_ledger.py",),
    ),
    Mutant(
        "a run records an end though its stage does not run",
        _LEDGER,
        '            f"{prefix}.state": StageState.RUNNING.value,\n            f"{prefix}.attempts": claim.attempt,',
        '            f"{prefix}.attempts": claim.attempt,',
        ("tests/contract/test_ledger.py",),
    ),
    Mutant(
        "the last stage completes a job without the others",
        _LEDGER,
        "for name in claim.job.stages if name != claim.stage}",
        "for name in ()}",
        ("tests/contract/test_ledger.py",),
    ),
    Mutant(
        "a stage is claimed though its lease is live",
        _LEDGER,
        'free = {f"{prefix}.state": _UNFINISHED, f"{prefix}.lease_ms": {"$lte": now}}',
        'free = {f"{prefix}.state": _UNFINISHED}',
        ("tests/contract/test_ledger.py",),
    ),
    Mutant(
        "a job is redispatched though a lease is live",
        _SWEEPER,
        "if is_held or await",
        "if await",
        ("tests/unit/pipeline/test_sweeper_dispatch.py",),
    ),
    Mutant(
        "a stage of an ended job is claimed",
        _LEDGER,
        '{"_id": job_id, "state": _ACTIVE, **condition}',
        '{"_id": job_id, **condition}',
        ("tests/contract/test_ledger.py",),
    ),
    Mutant(
        "a run changes an ended job",
        _LEDGER,
        '            "state": _ACTIVE,\n            f"{prefix}.state": StageState.RUNNING.value,',
        '            f"{prefix}.state": StageState.RUNNING.value,',
        ("tests/contract/test_ledger.py",),
    ),
    Mutant(
        "a job is retried though it has changed since it was read",
        _JOBS,
        '"state": job.state.value, "generation": job.generation, "outbox_ms": None}',
        '"outbox_ms": None}',
        ("tests/contract/test_expiry.py", "tests/contract/test_retries.py", "tests/contract/test_jobs_asked_for.py"),
    ),
    Mutant(
        "a job is retried though its blobs are going",
        _JOBS,
        "        condition |= _KEEPS_BLOBS\n",
        "",
        ("tests/contract/test_expiry.py", "tests/contract/test_jobs_asked_for.py"),
    ),
    Mutant(
        "a blob is not synced",
        "storage/local_files.py",
        "            os.fsync(descriptor)\n    except",
        "            pass\n    except",
        ("tests/contract/test_syncs.py",),
    ),
    Mutant(
        "an upload is not synced",
        _BLOBS,
        '            sync(f"{self._folder}/{key}")\n',
        "",
        ("tests/contract/test_syncs.py",),
    ),
    Mutant(
        "the name of a blob is not synced",
        _BLOBS,
        '        sync(path.rpartition("/")[0])\n',
        "",
        ("tests/contract/test_syncs.py",),
    ),
    Mutant(
        "the name of a job's folder is not synced",
        _BLOBS,
        "            sync(str(self._folder))\n",
        "            pass\n",
        ("tests/contract/test_syncs.py",),
    ),
    Mutant(
        "a request inserts its job though another one has its key",
        _LEASE,
        "        if not await self._keys.extend_lease(self._key, job_id=self._job_id, lease_ms=self._lease_ms):\n"
        "            raise self._in_use(self._lease_ms)\n",
        "        await self._keys.extend_lease(self._key, job_id=self._job_id, lease_ms=self._lease_ms)\n",
        ("tests/contract/test_key_lease.py",),
    ),
    Mutant(
        "a fenced run leaves its blobs",
        _RUN,
        "            self._record_fenced()\n            self.blobs.remove_written()\n",
        "            self._record_fenced()\n",
        ("tests/contract/test_stage_run.py",),
    ),
    Mutant(
        "the last stage removes no intermediates",
        "pipeline/tasks.py",
        "        run.blobs.remove_intermediates()\n",
        "        pass\n",
        ("tests/contract/test_stage_run.py",),
    ),
    Mutant(
        "stages run in any order",
        _RUN,
        "    if run.is_out_of_order:\n",
        "    if run.is_out_of_order and not run.job:\n",
        ("tests/contract/test_lost_master.py",),
    ),
    Mutant(
        "a job is removed though it was retried since",
        _JOBS,
        'condition = {"_id": job.id, **unchanged}',
        'condition = {"_id": job.id}',
        ("tests/contract/test_expiry.py",),
    ),
    Mutant(
        "blobs expire though their job was not marked",
        "pipeline/tidying/expiry.py",
        "if not await context.jobs.mark_expiring(job):\n                return",
        "await context.jobs.mark_expiring(job)",
        ("tests/contract/test_expiry.py",),
    ),
    Mutant(
        "what killed runs left of cancelled jobs stays",
        _TIDIER,
        "            expiry.remove_cancelled,\n",
        "",
        ("tests/unit/pipeline/test_leftovers.py",),
    ),
    Mutant(
        "what killed runs left of other ended jobs stays",
        _TIDIER,
        "            leftovers.remove_leftovers,\n",
        "",
        ("tests/unit/pipeline/test_leftovers.py",),
    ),
    Mutant(
        "what frozen runs wrote into removed folders stays",
        "pipeline/tidying/orphans.py",
        "jobs.find_without_blobs(",
        "jobs.find_missing(",
        ("tests/unit/pipeline/test_tidier.py",),
    ),
    Mutant(
        "results are read in pieces of 10 MiB",
        _BLOBS,
        "READ_BYTES = 128 * 1024",
        "READ_BYTES = 10 * 1024 * 1024",
        ("tests/contract/test_blobs.py",),
    ),
    Mutant(
        "downloads under way are not bounded",
        "gateway/routes/results.py",
        '"dependencies": [Depends(hold_download)],',
        "",
        ("tests/unit/gateway/test_concurrency_limit.py",),
    ),
    Mutant(
        "a client that reads nothing is kept",
        "gateway/server/http_protocol.py",
        "self._send_timer.start(self._limits.send_seconds)",
        "pass",
        ("tests/unit/gateway/test_http_protocol.py",),
    ),
    Mutant(
        "the lease of a key is as long as an upload may take",
        _LEASE,
        "self._lease_ms = int(settings.http.key_lease * 1000)",
        "self._lease_ms = 120_000",
        ("tests/contract/test_key_lease.py",),
    ),
    Mutant(
        "a request that breaks off keeps its key",
        _LEASE,
        "if not self._is_inserting:\n                with",
        "if not self._lease_ms:\n                with",
        ("tests/contract/test_idempotency.py",),
    ),
    Mutant(
        "the key of a deleted job answers 404",
        "storage/idempotency.py",
        " and not was_deleted",
        "",
        ("tests/contract/test_idempotency.py",),
    ),
    Mutant(
        "an upload is accepted though it may be an orphan",
        _SUBMISSION,
        "if self._may_be_orphan or not await",
        "if not await",
        ("tests/contract/test_gone_uploads.py",),
    ),
    Mutant(
        "a Redis that refuses writes ends workers",
        "pipeline/broker/transport.py",
        "UNWRITABLE = (RefusedError, OutOfMemoryError,",
        "UNWRITABLE = (OutOfMemoryError,",
        ("tests/contract/test_refused_commands.py",),
    ),
    Mutant(
        "a heartbeat waits for a broker that is away",
        "pipeline/direct_task.py",
        '    events_cls = "pipeline.worker_events:BoundedEvents"\n',
        "",
        ("tests/contract/test_refused_commands.py",),
    ),
    Mutant(
        "an unreadable document stops a list",
        "storage/document_reader.py",
        "except JobUnreadable:\n            return None",
        "except JobUnreadable:\n            raise",
        ("tests/contract/test_unreadable.py",),
    ),
    Mutant(
        "results of another version are shown",
        "pipeline/operations.py",
        "    check_results(job)\n",
        "",
        ("tests/contract/test_unreadable.py",),
    ),
    Mutant(
        "a worker runs unreadable messages",
        "pipeline/consumer.py",
        "check_message(message)",
        "pass",
        ("tests/unit/pipeline/test_consumer.py", "tests/integration/test_unreadable_messages.py"),
    ),
    Mutant(
        "messages are held by the clock of the worker",
        "pipeline/broker/transport.py",
        "    time=redis_time,",
        "    #",
        ("tests/integration/test_releasing_qos.py",),
    ),
    Mutant(
        "a run that was taken over counts as an attempt",
        _RUN,
        "            self._child.ledger.uncount_attempt(self._claim)\n        self.record",
        "            pass\n        self.record",
        ("tests/contract/test_stage_run.py",),
    ),
    Mutant(
        "a lease from before the clock was set back is live",
        _LEDGER,
        "conditions = (*claims, (impossible, 0))",
        "conditions = claims",
        ("tests/contract/test_ledger.py",),
    ),
    Mutant(
        "a job waits as long as the clock was set back",
        "pipeline/tidying/clock_steps.py",
        "        await context.jobs.end_long_waits(longest_ms=lease_ms + patience_ms)\n",
        "",
        ("tests/unit/pipeline/test_tidier.py",),
    ),
    Mutant(
        "a gateway with a full disk is ready",
        "gateway/routes/health.py",
        "if stores.blobs.is_local:",
        "if not stores:",
        ("tests/unit/gateway/test_health.py",),
    ),
    Mutant(
        "files of the metrics of killed workers stay",
        "pipeline/metrics_folder.py",
        "        _remove_abandoned(Path(gettempdir()))\n",
        "",
        ("tests/unit/pipeline/test_metrics_folder.py",),
    ),
    Mutant(
        "silent connections are kept",
        "gateway/server/http_protocol.py",
        "        self._head_timer.start(self._limits.head_seconds)\n        if not self._open",
        "        if not self._open",
        ("tests/unit/gateway/test_http_protocol.py", "tests/integration/test_connections.py"),
    ),
    Mutant(
        "a lowered limit refuses accepted jobs",
        _RUN,
        "child.settings.limits.raised_to(claim.job.limits)",
        "child.settings.limits",
        ("tests/contract/test_limits_of_jobs.py",),
    ),
    Mutant(
        "an error keeps the images of its run",
        _RUN,
        "        release_images(error)\n",
        "        pass\n",
        ("tests/contract/test_stage_run.py",),
    ),
    Mutant(
        "a stage with attempts left is given up after three retries",
        "pipeline/direct_task.py",
        "    max_retries = None\n",
        "    max_retries = 3\n",
        ("tests/contract/test_stage_run.py",),
    ),
    Mutant(
        "a connection that is closed twice ends its worker",
        "pipeline/broker/transport.py",
        "    _Channel._connparams = _connect_unless_closed  # noqa: SLF001\n",
        "",
        ("tests/contract/test_redis_connections.py",),
    ),
)
