"""What is known of a job's lives, from the answers to those who wanted it to begin again."""

from __future__ import annotations

import pytest

from storage.job_ids import new_job_id
from tests.tools.chaos.histories import list_histories
from tests.tools.chaos.load import Upload
from tests.tools.chaos.samples import Sample

SAMPLE = Sample(name="one.jpg", content=b"")


@pytest.mark.parametrize(
    ("answers", "lives"),
    [
        ([], (1, 1)),
        ([("retry", "202"), ("reprocess", "202")], (3, 3)),
        ([("retry", "409"), ("delete", "204")], (1, 1)),
        ([("reprocess", "none"), ("reprocess", "202"), ("delete", "none")], (2, 3)),
        ([("retry", "503")], (1, 2)),
    ],
)
def test_each_retry_that_is_accepted_begins_a_life_and_one_without_an_answer_may(
    answers: list[tuple[str, str]], lives: tuple[int, int]
) -> None:
    upload = Upload(serial=1, sample=SAMPLE, move_answers=answers)

    assert upload.count_lives() == lives


def test_a_job_that_was_accepted_and_is_removed_still_has_ended() -> None:
    accepted = Upload(serial=1, sample=SAMPLE, task_id=new_job_id(), move_answers=[("delete", "204")])
    refused = Upload(serial=2, sample=SAMPLE)

    (history,) = list_histories([], [accepted, refused])

    assert (history.task_id, history.least_lives, history.last_end) == (accepted.task_id, 1, None)
    assert history.renditions == {"small", "medium", "large"}
