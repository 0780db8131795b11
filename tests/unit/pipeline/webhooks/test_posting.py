"""One try: what is sent, and what is recorded of its answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook
from structlog.testing import capture_logs

from pipeline.outbound.client import Answer
from pipeline.outbound.errors import OutboundError, OutboundFailed, OutboundRefused, OutboundTimeout
from pipeline.version import VERSION
from pipeline.webhooks.posting import PostResult, post_delivery
from storage.clock import now_ms
from tests.support.webhooks import SECRET, new_delivery, new_endpoint

URL = "https://shop.example/hook?token=secret"
DELIVERY = new_delivery(new_endpoint(), payload='{"name": "\u00e9"}')


@dataclass
class Network:
    """Answers every request with the same answer, or none."""

    answer: Answer | Exception
    requests: list[dict[str, Any]] = field(default_factory=list)

    def post(self, url: str, content: bytes, headers: Mapping[str, str], **options: Any) -> Answer:
        self.requests.append({"url": url, "content": content, "headers": dict(headers), **options})
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def post(answer: Answer | Exception, *secrets: str) -> tuple[PostResult, dict[str, Any]]:
    network = Network(answer)
    result = post_delivery(network, URL, DELIVERY, secrets or [SECRET], seconds=7)
    return result, network.requests[0] if network.requests else {}


def answer(status: int, content: bytes = b"", **headers: str) -> Answer:
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, content)


def test_a_request_has_the_payload_as_it_is_stored_and_a_signature() -> None:
    _, request = post(answer(204))

    headers = request["headers"]
    assert Webhook(SECRET).verify(request["content"], headers) == json.loads(DELIVERY.payload)
    assert request["content"] == DELIVERY.payload.encode()
    assert headers["webhook-id"] == DELIVERY.event_id
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"] == f"Darkroom/{VERSION}"
    assert (request["url"], request["seconds"]) == (URL, 7)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, "delivered"), (204, "delivered"), (299, "delivered")]
    + [(status, "rejected") for status in (100, 199, 300, 302, 307, 400, 410, 429, 500, 503, 599, 999)],
)
def test_an_event_is_delivered_if_the_answer_says_success(status: int, outcome: str) -> None:
    result, _ = post(answer(status))

    assert (result.outcome, result.record.status, result.record.error) == (outcome, status, None)
    assert result.is_gone == (status == 410)


@pytest.mark.parametrize(
    ("error", "outcome"), [(OutboundRefused, "refused"), (OutboundTimeout, "timeout"), (OutboundFailed, "failed")]
)
def test_why_there_was_no_answer_is_recorded(error: type[OutboundError], outcome: str) -> None:
    result, _ = post(error("A sentence."))

    assert (result.outcome, result.record.status) == (outcome, None)
    assert (result.record.error, result.record.detail) == (outcome, "A sentence.")


def test_a_try_records_its_time() -> None:
    before = now_ms()

    result, _ = post(answer(204))

    assert before <= result.record.at_ms <= now_ms()
    assert 0 <= result.record.duration_ms <= now_ms() - before + 1


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", ""),
        (b"no such order", "no such order"),
        ("\u00e9".encode(), "\u00e9"),
        (b"a\0b\xffc", "a\ufffdb\ufffdc"),
        (b"x" * 600, "x" * 512),
    ],
)
def test_the_begin_of_an_answer_is_kept_as_text(content: bytes, text: str) -> None:
    result, _ = post(answer(500, content))

    assert result.record.answer == text


def test_an_endpoint_can_ask_for_time() -> None:
    assert post(answer(503, retry_after="30"))[0].retry_after_ms == 30_000


@pytest.mark.parametrize(
    ("failure", "secret"), [(RuntimeError("a bug"), SECRET), (answer(204), "whsec_"), (answer(204), "whsec_#")]
)
def test_an_event_that_cannot_be_sent_ends_no_run(failure: Answer | Exception, secret: str) -> None:
    with capture_logs() as logs:
        result, _ = post(failure, secret)

    assert (result.outcome, result.record.error) == ("failed", "failed")
    assert [line["event"] for line in logs] == ["delivery.broken"]
    assert "token=secret" not in str(logs)
