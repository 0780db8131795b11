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
        "if job.has_live_lease(now) or await",
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
)
