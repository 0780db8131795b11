"""Stage errors pass between processes and into documents: their codes, messages and rules must survive."""

from __future__ import annotations

import pickle
import re

import pytest

from stages.errors import STAGE_ERRORS, BrokenRule, ExportFailed, ImageTooLarge, StageError, TemporaryError


@pytest.mark.parametrize("error", STAGE_ERRORS.values(), ids=STAGE_ERRORS)
def test_every_stage_error_has_a_code_and_a_message(error: type[StageError]) -> None:
    raised = error()

    assert re.fullmatch(r"[a-z]+(_[a-z]+)+", raised.code)
    assert raised.message[0].isupper()
    assert raised.message.endswith(".")
    assert str(raised) == raised.message


def test_codes_are_the_documented_ones() -> None:
    assert sorted(STAGE_ERRORS) == [
        "empty_file",
        "export_failed",
        "fetch_failed",
        "fetch_refused",
        "fetch_timeout",
        "fetch_too_large",
        "image_corrupt",
        "image_needs_too_much_memory",
        "image_too_large",
        "image_truncated",
        "invalid_operation",
        "too_many_frames",
        "unsupported_format",
    ]


def test_a_stage_error_survives_pickling_with_its_rules() -> None:
    rule = BrokenRule(pointer="/width", rule="side", message="Too wide.", limit=10, actual=11)

    copy = pickle.loads(pickle.dumps(ImageTooLarge("Too wide.", errors=(rule,))))  # noqa: S301  our own bytes

    assert type(copy) is ImageTooLarge
    assert (copy.message, copy.errors, copy.code) == ("Too wide.", (rule,), "image_too_large")


def test_a_temporary_error_survives_pickling_with_its_refusal() -> None:
    error = TemporaryError(ExportFailed("The bucket is gone."), detail="PermissionDeniedError")

    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  our own bytes

    assert type(copy) is TemporaryError
    assert (type(copy.refusal), copy.refusal.message) == (ExportFailed, "The bucket is gone.")
    assert str(copy) == "export_failed: PermissionDeniedError"
