"""A short campaign with a fixed seed: what was accepted ends once, whatever is killed, forged or raced."""

from __future__ import annotations

import sys

import pytest

from tests.tools.chaos.campaign import Plan, run

FAULTS = (
    "messages_forged",
    "outbound_killed",
    "duplicates",
    "document_unreadable",
    "redis_emptied",
    "job_raced",
    "gateway_killed_in_acceptance",
    "everything_killed",
)


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found and limited through /proc and prlimit")
@pytest.mark.timeout(600)
def test_every_accepted_upload_ends_once_whatever_happens() -> None:
    plan = Plan(seed=5, seconds=300, faults=FAULTS, once=True, gap_seconds=(0.2, 0.6), rate=2.5)

    result = run(plan, print)

    assert not result.violations, f"{[str(violation) for violation in result.violations]}; see {result.evidence_folder}"
    struck = {injection.fault for injection in result.injections}
    assert struck == set(FAULTS)
    assert any(upload.task_id for upload in result.uploads)
