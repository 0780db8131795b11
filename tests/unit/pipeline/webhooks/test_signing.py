"""Signatures as Standard Webhooks has them, and which secrets make them."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest
from pydantic import ValidationError
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from pipeline.outbound_settings import FixedWebhook, WebhookSettings
from pipeline.webhooks.signing import find_secrets, sign
from storage.clock import now_ms
from storage.webhooks import Secret
from tests.support.webhooks import SECRET, new_endpoint

OTHER = f"whsec_{b64encode(bytes(range(64))).decode()}"
NOW_MS = 1_614_265_330_999
PAYLOAD = '{"test": 2432232314}'


def test_an_example_of_others_has_the_same_signature() -> None:
    """It stands in the tests of the specification's libraries."""
    headers = sign([SECRET], event_id="msg_p5jXN8AQM9LWM0D4loKWxJek", at_ms=NOW_MS, payload=PAYLOAD)

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize("secret", [SECRET, OTHER])
def test_each_of_two_secrets_verifies_an_event(secret: str) -> None:
    payload = json.dumps({"name": "\u00e9t\u00e9 \u2603"}, ensure_ascii=False)

    headers = sign([OTHER, SECRET], event_id="event", at_ms=now_ms(), payload=payload)

    assert len(headers["webhook-signature"].split(" ")) == 2
    assert Webhook(secret).verify(payload.encode(), headers) == json.loads(payload)


def test_a_secret_that_did_not_sign_verifies_nothing() -> None:
    headers = sign([OTHER], event_id="event", at_ms=now_ms(), payload=PAYLOAD)

    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(PAYLOAD, headers)


def test_secrets_that_have_expired_sign_nothing() -> None:
    secrets = [
        Secret(value="new"),
        Secret(value="old", expires_ms=NOW_MS + 1),
        Secret(value="older", expires_ms=NOW_MS),
    ]

    found = find_secrets(new_endpoint(secrets=secrets), WebhookSettings(), now_ms=NOW_MS)

    assert found == ["new", "old"]


@pytest.mark.parametrize(("name", "expected"), [("shop", [OTHER, SECRET]), ("unknown", [])])
def test_the_secrets_of_a_fixed_endpoint_are_in_the_settings(name: str, expected: list[str]) -> None:
    fixed = {"shop": FixedWebhook(url="https://shop.example", secrets=(OTHER, SECRET))}
    endpoint = new_endpoint(id=f"fixed-{name}", secrets=[Secret(value="of the document")])

    assert find_secrets(endpoint, WebhookSettings(fixed=fixed), now_ms=NOW_MS) == expected


@pytest.mark.parametrize(
    "secret", ["", "whsec_", SECRET[6:], SECRET[:-4], f"{SECRET}=", "whsec_\u00e9", f"whsec_{'A' * 88}"]
)
def test_the_settings_have_no_secret_that_cannot_sign(secret: str) -> None:
    with pytest.raises(ValidationError) as caught:
        FixedWebhook(url="https://shop.example", secrets=(secret,))

    assert "base64 of 24 to 64 bytes" in str(caught.value)
