"""Signed links: which of them opens an image, and that no other does."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from hashlib import sha256

import httpx
import pytest
from fastapi import FastAPI

from gateway.app import create_app
from gateway.image_links import build_signed_text, sign_text
from pipeline.settings import Settings
from storage.blobs import Blobs
from storage.clock import now_ms
from storage.documents import Job, Kind, PresetReference
from tests.support.fakes import UNREACHABLE_URL, FakeJobs, new_job_id
from tests.support.links import sign_link
from tests.support.presets import use_presets
from tests.support.tokens import (
    ADA_OLD_SECRET,
    ADA_SECRET,
    SECRETS,
    ZOE_SECRET,
    bearer,
    encode,
    sign,
    upload_claims,
    view_claims,
)
from tests.support.variants import CARD, OPERATION, done_card

KEYS = {owner: sha256(f"{owner}'s key".encode()).hexdigest() for owner in ("ada", "zoe", "bob")}
JOB_ID = "01a22da8-c546-7000-ad4c-e5e2e7c59663"  # names of tests contain it, so it is the same in each process
PATH = f"/image/{JOB_ID}/shop/card.avif"
ANOTHER_PATH = f"/image/{JOB_ID}/shop/card.webp"
HOUR, PAST = str(now_ms() // 1000 + 3600), "1700000000"
ADA_KEY = {"Authorization": "Bearer ada's key"}


@pytest.fixture(scope="session")
def settings() -> Settings:
    return Settings(
        redis_url="memory://",
        result_url=UNREACHABLE_URL,
        blob_url="memory:///",
        api_keys=KEYS,
        signing_secrets=SECRETS,
        key_presets={"zoe": ("other",)},
    )


@pytest.fixture(scope="session")
def app(settings: Settings) -> FastAPI:
    """A gateway with keys and signing secrets, whose preset `shop` makes the card of the job."""
    return use_presets(create_app(settings), shop={"renditions": {"card": CARD}}, other={"renditions": {"card": CARD}})


@pytest.fixture(autouse=True)
async def hers(jobs: FakeJobs, blobs: Blobs) -> Job:
    """A finished job of Ada's, with all files of its card."""
    operation = OPERATION.model_copy(update={"preset": PresetReference(name="shop", version="0")})
    job = done_card(blobs, job_id=JOB_ID, operation=operation).model_copy(
        update={"owner": "ada", "token_id": "token-one"}
    )
    await jobs.insert(job)
    return job


def sig_of(url: str) -> str:
    return url.rpartition("sig=")[2]


def change_last_bits(signature: str) -> str:
    """Return another spelling of the same bytes: the last character has two bits that no byte has."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = signature[:-1] + alphabet[alphabet.index(signature[-1]) ^ 1]
    assert urlsafe_b64decode(other + "=") == urlsafe_b64decode(signature + "=")
    return other


SIG = sig_of(sign_link(PATH))


@pytest.mark.parametrize(
    "url",
    [
        sign_link(PATH),
        sign_link(PATH, secret=ADA_OLD_SECRET),
        sign_link(PATH, "v=0123456789abcdef"),
        sign_link(PATH, f"exp={HOUR}"),
        sign_link(PATH, f"v=1&exp={HOUR}&wait=0"),
        f"{PATH}?sig={sig_of(sign_link(PATH, f'exp={HOUR}&v=1'))}&v=1&exp={HOUR}",
        f"{PATH}?&sig={SIG}&",
        sign_link(PATH, "utm_source=letter"),
        sign_link(f"/image/{JOB_ID}/shop/card@2x.avif").replace("@", "%40"),
        sign_link(f"/image/{JOB_ID}/other/card.jpg"),
    ],
    ids=range(10),
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_signed_link_opens_its_image(http: httpx.AsyncClient, method: str, url: str) -> None:
    answer = await http.request(method, url)

    assert (answer.status_code, answer.headers["content-type"].partition("/")[0]) == (200, "image")
    assert "public" in answer.headers["cache-control"]
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["referrer-policy"] == "no-referrer"


FORGERIES = {
    "no signature": (PATH, 401),
    "another parameter": (f"{PATH}?signature={SIG}", 401),
    "a name in capitals": (f"{PATH}?SIG={SIG}", 401),
    "a name that is encoded": (f"{PATH}?%73ig={SIG}", 401),
    "an empty one": (f"{PATH}?sig=", 403),
    "a short one": (f"{PATH}?sig={SIG[:-1]}", 403),
    "a long one": (f"{PATH}?sig={SIG}A", 403),
    "a very long one": (f"{PATH}?sig={'A' * 5000}", 403),
    "padding": (f"{PATH}?sig={SIG}=", 403),
    "other unused bits": (f"{PATH}?sig={change_last_bits(SIG)}", 403),
    "another case": (f"{PATH}?sig={SIG.swapcase()}", 403),
    "hex": (f"{PATH}?sig={urlsafe_b64decode(SIG + '=').hex()}", 403),
    "base64 of another alphabet": (f"{PATH}?sig=+/{SIG[2:]}", 403),
    "not ASCII": (f"{PATH}?sig=%C3%A9{SIG[2:]}", 403),
    "a zero": (f"{PATH}?sig={SIG}%00", 403),
    "two, both right": (f"{PATH}?sig={SIG}&sig={SIG}", 403),
    "two, one right": (f"{PATH}?sig=wrong&sig={SIG}", 403),
    "another file": (f"{ANOTHER_PATH}?sig={SIG}", 403),
    "another density": (f"{PATH.replace('card.', 'card@2x.')}?sig={SIG}", 403),
    "another preset": (f"{PATH.replace('shop', 'other')}?sig={SIG}", 403),
    "another job": (f"{PATH.replace(JOB_ID, new_job_id())}?sig={SIG}", 403),
    "another spelling of the file": (f"{PATH.replace('avif', 'AVIF')}?sig={SIG}", 403),
    "a slash more": (f"/{PATH}?sig={SIG}", 401),
    "a path that goes up": (f"/image/x/%2E%2E{PATH.removeprefix('/image')}?sig={SIG}", 403),
    "a parameter more": (f"{PATH}?sig={SIG}&wait=60", 403),
    "a parameter less": (f"{PATH}?sig={sig_of(sign_link(PATH, 'v=1'))}", 403),
    "another version": (f"{PATH}?v=2&sig={sig_of(sign_link(PATH, 'v=1'))}", 403),
    "a later end": (f"{PATH}?exp={HOUR}9&sig={sig_of(sign_link(PATH, f'exp={HOUR}'))}", 403),
    "no end any more": (f"{PATH}?sig={sig_of(sign_link(PATH, f'exp={HOUR}'))}", 403),
    "a past end": (sign_link(PATH, f"exp={PAST}"), 403),
    "an end that is no number": (sign_link(PATH, "exp=never"), 403),
    "an end with a sign": (sign_link(PATH, f"exp=-{HOUR}"), 403),
    "an empty end": (sign_link(PATH, "exp="), 403),
    "an end in capitals": (sign_link(PATH, f"EXP={PAST}"), 403),
    "two ends": (sign_link(PATH, f"exp={HOUR}&exp={PAST}"), 403),
    "the secret of nobody": (sign_link(PATH, secret="x" * 40), 403),
    "the secret as it is": (f"{PATH}?sig={ADA_SECRET}", 403),
    "a hash without the secret": (f"{PATH}?sig={encode(sha256(PATH.encode()).digest())}", 403),
    "a hash with the secret": (f"{PATH}?sig={encode(sha256(f'{ADA_SECRET}{PATH}'.encode()).digest())}", 403),
    "a token": (f"{PATH}?sig={sign(view_claims(JOB_ID))}", 403),
    "the signature of a token": (f"{PATH}?sig={sign(view_claims(JOB_ID)).rpartition('.')[2]}", 403),
    "the owner of another job": (sign_link(PATH, secret=ZOE_SECRET), 404),
    "a link as a token": (f"{PATH}?token={SIG}", 401),
}


@pytest.mark.parametrize("name", FORGERIES)
async def test_nothing_else_opens_it(http: httpx.AsyncClient, name: str) -> None:
    url, status = FORGERIES[name]

    answer = await http.get(url)

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/task-status/{JOB_ID}"),
        ("GET", f"/result/{JOB_ID}/card.avif"),
        ("GET", "/jobs"),
        ("POST", "/upload"),
        ("DELETE", f"/jobs/{JOB_ID}"),
        ("POST", PATH),
        ("DELETE", PATH),
        ("GET", f"{PATH}/more"),
        ("GET", "/image/"),
    ],
)
async def test_a_signature_is_for_images_only(http: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await http.request(method, sign_link(path))

    assert answer.status_code in {401, 403}


async def test_the_end_of_a_link_is_named_as_the_reason(http: httpx.AsyncClient) -> None:
    answers = [await http.get(url) for url in (sign_link(PATH, f"exp={PAST}"), f"{PATH}?sig=wrong")]

    assert [answer.json()["code"] for answer in answers] == ["link_expired", "invalid_signature"]


async def test_a_link_is_kept_no_longer_than_it_is_valid(http: httpx.AsyncClient, app: FastAPI) -> None:
    version = app.state.presets.get("shop").version

    answer = await http.get(sign_link(PATH, f"exp={now_ms() // 1000 + 100}&v={version}"))

    visibility, age = answer.headers["cache-control"].split(", max-age=")
    assert visibility == "public"
    assert 90 <= int(age) <= 100


async def test_an_owner_who_is_limited_to_presets_signs_for_no_other(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs
) -> None:
    his = done_card(blobs).model_copy(update={"owner": "zoe"})
    await jobs.insert(his)

    answers = [
        await http.get(sign_link(f"/image/{his.id}/{name}/card.avif", secret=ZOE_SECRET)) for name in ("shop", "other")
    ]

    assert [answer.status_code for answer in answers] == [403, 200]
    assert answers[0].json()["code"] == "preset_not_allowed"


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        (ADA_KEY, ""),
        (ADA_KEY, "sig=wrong"),
        ({"X-API-Key": "ada's key"}, ""),
        (bearer(upload_claims()), ""),
        (bearer(view_claims(JOB_ID)), ""),
        ({}, f"token={sign(view_claims(JOB_ID))}"),
        ({}, f"token={sign(view_claims(f'{JOB_ID}/card'))}"),
    ],
    ids=range(7),
)
async def test_a_key_or_a_token_opens_it_too(http: httpx.AsyncClient, headers: dict[str, str], query: str) -> None:
    answer = await http.get(f"{PATH}?{query}", headers=headers)

    assert answer.status_code == 200
    assert "private" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        (view_claims(JOB_ID), 403),
        (upload_claims(), 403),
        (view_claims(f"{JOB_ID}/other"), 404),
        (view_claims(new_job_id()), 404),
        (upload_claims(jti="token-two"), 404),
    ],
    ids=range(5),
)
async def test_a_token_opens_no_image_of_another_preset(
    http: httpx.AsyncClient, claims: dict[str, object], status: int
) -> None:
    answer = await http.get(PATH.replace("/shop/", "/other/"), headers=bearer(claims))

    assert answer.status_code == status


@pytest.mark.parametrize(("preset", "status"), [("shop", 200), ("other", 404)])
async def test_a_token_opens_no_image_of_another_preset_by_the_id_of_its_job(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs, preset: str, status: int
) -> None:
    operation = OPERATION.model_copy(update={"preset": PresetReference(name=preset, version="0")})
    origin = {"kind": Kind.IMAGE, "parent_id": JOB_ID, "owner": "ada", "token_id": "token-one"}
    made = done_card(blobs, operation=operation).model_copy(update=origin)
    await jobs.insert(made)

    for path in (f"/result/{made.id}/card", f"/task-status/{made.id}"):
        assert (await http.get(path, headers=bearer(upload_claims()))).status_code == status
        assert (await http.get(path, headers=ADA_KEY)).status_code == 200


async def test_a_wrong_key_is_not_saved_by_a_signature(http: httpx.AsyncClient) -> None:
    assert (await http.get(sign_link(PATH), headers={"X-API-Key": "wrong"})).status_code == 401


def test_the_parameters_are_signed_in_one_order() -> None:
    assert build_signed_text("/image/a", b"v=1&&exp=2&") == b"/image/a?exp=2&v=1"
    assert build_signed_text("/image/a", b"") == b"/image/a"


def test_the_signature_is_that_of_rfc_4231() -> None:
    """Test case 2 of HMAC-SHA-256."""
    expected = bytes.fromhex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")

    assert urlsafe_b64decode(sign_text(b"what do ya want for nothing?", "Jefe") + b"=") == expected
