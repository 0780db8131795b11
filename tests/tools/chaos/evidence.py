"""Evidence: what is needed to find out why an invariant broke, kept where the run's own folder goes away."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from storage.documents import JobRecord
from tests.tools.chaos.endpoints import Arrival
from tests.tools.chaos.load import Upload
from tests.tools.chaos.schedule import Injection
from tests.tools.chaos.stack import ChaosStack
from tests.tools.chaos.violations import Violation

LOG_BYTES = 2_000_000


def keep(
    violations: Sequence[Violation],
    injections: Iterable[Injection],
    uploads: Iterable[Upload],
    jobs: Iterable[JobRecord],
    arrivals: Iterable[Arrival],
    stack: ChaosStack,
) -> Path:
    """Write down what broke, the faults, uploads, jobs, arrivals and the ends of the logs; return the folder."""
    folder = Path(tempfile.mkdtemp(prefix="darkroom-chaos-evidence-"))
    broken = {violation.job_id for violation in violations}
    (folder / "violations.txt").write_text("".join(f"{violation}\n" for violation in violations))
    _write(folder / "faults.json", [asdict(injection) for injection in injections])
    _write(folder / "uploads.json", [_described(upload) for upload in uploads])
    documents = [job.model_dump(mode="json", by_alias=True) for job in jobs]
    _write(folder / "jobs.json", documents)
    _write(folder / "broken-jobs.json", [document for document in documents if document["_id"] in broken])
    _write(folder / "arrivals.json", [asdict(arrival) for arrival in arrivals])
    for log in (stack.folder / "logs").glob("*.log"):
        (folder / log.name).write_bytes(log.read_bytes()[-LOG_BYTES:])
    return folder


def _described(upload: Upload) -> dict[str, object]:
    return {
        "name": upload.name,
        "answers": upload.answers,
        "task_id": upload.task_id,
        "path": upload.sample.path,
        "source_url": upload.source_url,
        "moves": upload.move_answers,
    }


def _write(file: Path, content: object) -> None:
    file.write_text(json.dumps(content, indent=1))
