"""Why a stage did not complete: a code that its record keeps, and a sentence for clients. The log has the details."""

from __future__ import annotations

from stages.errors import STAGE_ERRORS, default_message

INFRASTRUCTURE_ERROR = "infrastructure_error"
TIME_LIMIT = "time_limit"
INTERNAL_ERROR = "internal_error"
OUT_OF_ORDER = "out_of_order"
ATTEMPTS_EXHAUSTED = "attempts_exhausted"
MASTER_LOST = "master_lost"

SENTENCES = {
    INFRASTRUCTURE_ERROR: "A store or the broker failed. The stage runs again.",
    TIME_LIMIT: "The stage took too long and was stopped. It runs again, unless this was its last attempt.",
    INTERNAL_ERROR: "The stage failed unexpectedly. It runs again, unless this was its last attempt.",
    OUT_OF_ORDER: "The stage ran before the stages that it depends on were done. It runs again.",
    MASTER_LOST: "The disk has lost the decoded image. It is decoded again.",
    ATTEMPTS_EXHAUSTED: "The worker process died too many times while it processed this image.",
} | {code: default_message(error) for code, error in STAGE_ERRORS.items()}

MASTER_LOST_TOO_OFTEN = "The disk has lost the decoded image too many times."
"""The sentence, instead of that of ATTEMPTS_EXHAUSTED, of a job whose master was lost after each attempt."""


class MasterLost(Exception):
    """The master is missing, short or damaged: its disk lost it. The stage `normalize` can make it again."""
