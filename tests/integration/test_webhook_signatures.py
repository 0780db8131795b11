"""Events are verified by the library that receivers in JavaScript use."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipeline.webhooks.signing import sign
from storage.clock import now_ms
from tests.integration.front_servers import find_program
from tests.support.locked_tools import install_npm_tools
from tests.support.webhooks import SECRET

TOOLS = Path(__file__).with_name("webhook_tools")
OTHER = "whsec_" + "B" * 86 + "=="  # 64 bytes
PAYLOAD = json.dumps({"type": "job.done", "data": {"name": "\u00e9t\u00e9 \u2603 \U0001f600"}}, ensure_ascii=False)


def verify(secret: str, headers: Mapping[str, str], content: str) -> subprocess.CompletedProcess[str]:
    packages = install_npm_tools(TOOLS).parent
    return subprocess.run(
        [find_program("node"), str(TOOLS / "verify.cjs"), str(packages)],
        input=json.dumps({"secret": secret, "headers": headers, "content": content}),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("secret", [SECRET, OTHER], ids=["new", "old"])
def test_each_of_two_secrets_verifies_an_event_in_javascript(secret: str) -> None:
    headers = sign([SECRET, OTHER], event_id="event.of a job", at_ms=now_ms(), payload=PAYLOAD)

    run = verify(secret, headers, PAYLOAD)

    assert json.loads(run.stdout or "null") == json.loads(PAYLOAD), run.stderr


@pytest.mark.parametrize(("change", "age_ms"), [({"webhook-id": "another"}, 0), ({}, 400_000)], ids=["id", "time"])
def test_an_event_that_is_another_or_old_is_refused_in_javascript(change: dict[str, str], age_ms: int) -> None:
    headers = sign([SECRET], event_id="event", at_ms=now_ms() - age_ms, payload=PAYLOAD)

    run = verify(SECRET, headers | change, PAYLOAD)

    assert run.returncode != 0
    assert "WebhookVerificationError" in run.stderr
