"""What clients see of errors: codes and sentences, never what earlier versions stored beside them."""

from __future__ import annotations

from pipeline import stage_failures
from stages.errors import UnsupportedFormat, default_message
from storage.documents import Failure, Job, StageRecord, StageState

UNSUPPORTED_DETAILS = "This kind of image is not supported: "


def public_failure(job: Job) -> Failure | None:
    """Return why the job failed, without the decoder's own words, which earlier versions added."""
    if job.failure is None or not job.failure.message.startswith(UNSUPPORTED_DETAILS):
        return job.failure
    return job.failure.model_copy(update={"message": default_message(UnsupportedFormat)})


def explain_error(record: StageRecord, failure: Failure | None) -> tuple[str | None, str | None]:
    """Return the code and the sentence of a stage's error. What earlier versions stored is not shown."""
    if record.error is None:
        return None, None
    if record.state is StageState.FAILED and failure is not None:
        return failure.code, failure.message
    code = record.error if record.error in stage_failures.SENTENCES else stage_failures.INTERNAL_ERROR
    return code, stage_failures.SENTENCES[code]
