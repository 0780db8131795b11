"""Evidence: what is needed to find out why an invariant broke, kept where the run's own folder goes away."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from tests.tools.chaos.load import Upload
from tests.tools.chaos.stack import ChaosStack

if TYPE_CHECKING:
    from tests.tools.chaos.campaign import CampaignResult

LOG_BYTES = 2_000_000


def keep(result: CampaignResult, stack: ChaosStack) -> Path:
    """Write down what broke, the faults, uploads, jobs, events and the ends of the logs; return the folder."""
    folder = Path(tempfile.mkdtemp(prefix="darkroom-chaos-evidence-"))
    broken = {violation.job_id for violation in result.violations}
    (folder / "violations.txt").write_text("".join(f"{violation}\n" for violation in result.violations))
    _write(folder / "faults.json", [asdict(injection) for injection in result.injections])
    _write(folder / "uploads.json", [_described(upload) for upload in result.uploads])
    jobs = _dump(result.jobs)
    _write(folder / "jobs.json", jobs)
    _write(folder / "broken-jobs.json", [job for job in jobs if job["_id"] in broken])
    _write(folder / "arrivals.json", [asdict(arrival) for arrival in result.arrivals])
    _write(folder / "deliveries.json", _dump(result.deliveries))
    for log in (stack.folder / "logs").glob("*.log"):
        (folder / log.name).write_bytes(log.read_bytes()[-LOG_BYTES:])
    return folder


def _dump(documents: Sequence[BaseModel]) -> list[dict[str, object]]:
    return [document.model_dump(mode="json", by_alias=True) for document in documents]


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
