"""Tokens: what the signed ones allow, and that nothing else allows anything."""

from __future__ import annotations

import json
import math
from hashlib import sha256
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.permission import Permission, Scope
from gateway.problems import InvalidToken, TokenExpired
from gateway.tokens import ROUNDING_SECONDS, sign_token, sign_view_token, verify_token, view_claims
from tests.support.properties import EXAMPLES
from tests.support.tokens import ADA_OLD_SECRET, ADA_SECRET, SECRETS, ZOE_SECRET, encode, sign

NOW = 1_800_000_000
NOW_MS = NOW * 1000
CLAIMS = {"sub": "ada", "exp": NOW + 600, "jti": "token-one", "scope": "upload"}
KEY_DIGEST = sha256(b"ada's key").hexdigest()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def verify(token: str) -> Permission:
    return verify_token(token, SECRETS, now_ms=NOW_MS)


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in CLAIMS.items() if name not in names}


def test_the_claim_preset_is_the_same_as_one_preset_of_the_claim_presets() -> None:
    one, other = (verify(sign(CLAIMS | claim)) for claim in ({"preset": "avatar"}, {"presets": ["avatar"]}))

    assert one.presets == other.presets == frozenset({"avatar"})


def test_an_upload_token_allows_what_its_claims_say() -> None:
    limits = {
        "max_bytes": 5000,
        "formats": ["jpeg", "png"],
        "presets": ["product", "avatar"],
        "uses": 3,
        "origin": "https://app.example",
        "metadata": {"order": "4711"},
    }

    permission = verify(sign(CLAIMS | limits))

    assert permission == Permission(
        owner="ada",
        scope=Scope.UPLOAD,
        token_id="token-one",  # noqa: S106  # not a password
        expires_ms=CLAIMS["exp"] * 1000,  # type: ignore[operator]
        max_bytes=5000,
        formats=frozenset({"jpeg", "png"}),
        presets=frozenset({"product", "avatar"}),
        uses=3,
        origin="https://app.example",
        metadata={"order": "4711"},
    )


@pytest.mark.parametrize(("scope", "rendition"), [("read:a-job", None), ("read:a-job/small", "small")])
def test_a_view_token_reads_one_job_or_one_rendition(scope: str, rendition: str | None) -> None:
    permission = verify(sign(without("jti") | {"scope": scope}))

    assert (permission.owner, permission.scope) == ("ada", Scope.READ)
    assert (permission.task_id, permission.rendition) == ("a-job", rendition)


def test_a_token_of_a_library_is_a_token() -> None:
    claims = CLAIMS | {"iat": NOW, "iss": "shop", "nbf": NOW}

    assert verify(jwt.encode(claims, ADA_SECRET, algorithm="HS256")).token_id == CLAIMS["jti"]


@pytest.mark.parametrize("secret", [ADA_SECRET, ADA_OLD_SECRET])
def test_both_secrets_of_an_owner_are_valid(secret: str) -> None:
    assert verify(sign(CLAIMS, secret)).owner == "ada"


def test_the_first_secret_signs() -> None:
    token = sign_token(CLAIMS, SECRETS)

    assert jwt.decode(token, ADA_SECRET, algorithms=["HS256"], options={"verify_exp": False}) == CLAIMS


def test_a_secret_that_was_replaced_twice_is_valid_no_more() -> None:
    newer = {"ada": SECRETS["ada"][:1]}

    with pytest.raises(InvalidToken):
        verify_token(sign(CLAIMS, ADA_OLD_SECRET), newer, now_ms=NOW_MS)


def test_an_owner_without_a_secret_signs_nothing() -> None:
    tokens = [sign_view_token(SECRETS, owner=owner, task_id="a-job", now_ms=NOW_MS) for owner in ("eve", None)]

    assert tokens == [None, None]


def none_of(claims: dict[str, Any], alg: str) -> str:
    return f"{encode(json.dumps({'alg': alg}).encode())}.{encode(json.dumps(claims).encode())}."


def with_payload(token: str, claims: dict[str, Any]) -> str:
    head, _, signature = token.split(".")
    return f"{head}.{encode(json.dumps(claims).encode())}.{signature}"


VALID = sign(CLAIMS)
FORGERIES = {
    "alg none": none_of(CLAIMS, "none"),
    "alg None": none_of(CLAIMS, "None"),
    "alg NONE, signed": sign(CLAIMS, alg="NONE"),
    "no signature": VALID.rpartition(".")[0] + ".",
    "alg HS512": sign(CLAIMS, alg="HS512", algorithm="sha512"),
    "alg HS384": sign(CLAIMS, alg="HS384", algorithm="sha384"),
    "alg RS256": sign(CLAIMS, alg="RS256"),
    "alg ES256": sign(CLAIMS, alg="ES256"),
    "alg in another case": sign(CLAIMS, alg="hs256"),
    "alg a number": sign(CLAIMS, alg=256),
    "alg missing": f"{encode(b'{}')}.{encode(json.dumps(CLAIMS).encode())}.{VALID.rpartition('.')[2]}",
    "an unknown critical header": sign(CLAIMS, crit=["exp2"], exp2=1),
    "a detached payload": sign(CLAIMS, b64=False, crit=["b64"]),
    "a key in the header": sign(CLAIMS, "x" * 40, jwk={"kty": "oct", "k": encode(b"x" * 40)}),
    "a key file in the header": sign(CLAIMS, "", kid="/dev/null"),
    "an empty secret": sign(CLAIMS, ""),
    "the digest of the API key": sign(CLAIMS, KEY_DIGEST),
    "the API key": sign(CLAIMS, "ada's key"),
    "another owner's secret": sign(CLAIMS, ZOE_SECRET),
    "another owner's name": sign(CLAIMS | {"sub": "zoe"}),
    "a changed owner": with_payload(VALID, CLAIMS | {"sub": "zoe"}),
    "an unknown owner": sign(CLAIMS | {"sub": "eve"}),
    "a list of owners": sign(CLAIMS | {"sub": ["ada", "zoe"]}),
    "an object as owner": sign(CLAIMS | {"sub": {"ada": 1}}),
    "no owner": sign(without("sub")),
    "null as owner": sign(CLAIMS | {"sub": None}),
    "a later end": with_payload(VALID, CLAIMS | {"exp": NOW + 700}),
    "a wider scope": with_payload(VALID, CLAIMS | {"scope": "read:another"}),
    "cut off": VALID[:-1],
    "one character more": VALID + "A",
    "padded": VALID + "=",
    "in quotes": f'"{VALID}"',
    "with a space": VALID + " ",
    "two parts": VALID.rpartition(".")[0],
    "four parts": VALID + ".e30",
    "five parts, as an encrypted one": f"{VALID}.e30.e30",
    "unicode": "ключ.ключ.ключ",
    "digits of another script": VALID.replace(".", ".\u0661", 1),
    "a line feed": VALID + "\n",
    "a NUL": VALID + "\0",
    "no JSON": sign("no JSON"),
    "a list": sign([CLAIMS]),
    "deeply nested": sign("[" * 1400),
    "100 KB": sign(CLAIMS | {"metadata": {"a": "b" * 75_000}}),
    "empty": "",
    "dots": "..",
}


@pytest.mark.parametrize("token", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_token_allows_nothing(token: str) -> None:
    with pytest.raises(InvalidToken):
        verify(token)


def test_forgeries_are_not_told_apart() -> None:
    unknown, wrong = sign(CLAIMS | {"sub": "eve"}), sign(CLAIMS, ZOE_SECRET)
    details = set()
    for token in (unknown, wrong, none_of(CLAIMS, "none")):
        with pytest.raises(InvalidToken) as refusal:
            verify(token)
        details.add(refusal.value.detail)

    assert len(details) == 1


WRONG_CLAIMS: dict[str, dict[str, Any]] = {
    "no end": without("exp"),
    "an end in words": CLAIMS | {"exp": str(NOW + 600)},
    "an end that is true": CLAIMS | {"exp": True},
    "an end that is NaN": CLAIMS | {"exp": math.nan},
    "an end at infinity": CLAIMS | {"exp": math.inf},
    "a huge end": CLAIMS | {"exp": 10**400},
    "an end before the epoch": CLAIMS | {"exp": -1},
    "an end in milliseconds": CLAIMS | {"exp": NOW_MS + 600_000},
    "an end in two days": CLAIMS | {"exp": NOW + 172_800},
    "an end in a list": CLAIMS | {"exp": [NOW + 600]},
    "a start in an hour": CLAIMS | {"nbf": NOW + 3600},
    "no id": without("jti"),
    "a number as id": CLAIMS | {"jti": 12_345_678},
    "a short id": CLAIMS | {"jti": "short"},
    "a long id": CLAIMS | {"jti": "i" * 65},
    "an id with a dot": CLAIMS | {"jti": "a.b.c.d.e"},
    "an id with a colon": CLAIMS | {"jti": "zoe:12345678"},
    "an id with a dollar": CLAIMS | {"jti": "$12345678"},
    "an id with a line feed": CLAIMS | {"jti": "12345678\n"},
    "no scope": without("scope"),
    "an unknown scope": CLAIMS | {"scope": "admin"},
    "the scope of a key": CLAIMS | {"scope": "all"},
    "two scopes": CLAIMS | {"scope": "upload read:a-job"},
    "a list of scopes": CLAIMS | {"scope": ["upload"]},
    "a scope that reads nothing": CLAIMS | {"scope": "read:"},
    "a scope that reads all": CLAIMS | {"scope": "read:*"},
    "a scope of a path": CLAIMS | {"scope": "read:a-job/../b"},
    "a scope of two renditions": CLAIMS | {"scope": "read:a-job/small/large"},
    "a scope with a line feed": CLAIMS | {"scope": "read:a-job\n"},
    "an unknown claim": CLAIMS | {"maxbytes": 1},
    "another audience": CLAIMS | {"aud": "other"},
    "a preset that is no name": CLAIMS | {"preset": "../avatar"},
    "no presets": CLAIMS | {"presets": []},
    "a preset twice": CLAIMS | {"preset": "avatar", "presets": ["avatar"]},
    "presets to read": CLAIMS | {"scope": "read:a-job", "presets": ["avatar"]},
    "no bytes": CLAIMS | {"max_bytes": 0},
    "bytes in words": CLAIMS | {"max_bytes": "1000"},
    "half a byte": CLAIMS | {"max_bytes": 0.5},
    "bytes that are true": CLAIMS | {"max_bytes": True},
    "huge bytes": CLAIMS | {"max_bytes": 10**400},
    "no formats": CLAIMS | {"formats": []},
    "an unknown format": CLAIMS | {"formats": ["jpg"]},
    "formats in a string": CLAIMS | {"formats": "jpeg"},
    "formats that are numbers": CLAIMS | {"formats": [1]},
    "no uses": CLAIMS | {"uses": 0},
    "too many uses": CLAIMS | {"uses": 1001},
    "uses in words": CLAIMS | {"uses": "1"},
    "an origin with a path": CLAIMS | {"origin": "https://app.example/"},
    "any origin": CLAIMS | {"origin": "*"},
    "no origin": CLAIMS | {"origin": "null"},
    "metadata in a list": CLAIMS | {"metadata": ["a"]},
    "metadata that is a number": CLAIMS | {"metadata": {"a": 1}},
    "nested metadata": CLAIMS | {"metadata": {"a": {"b": "c"}}},
    "long metadata": CLAIMS | {"metadata": {"a": "b" * 257}},
    "much metadata": CLAIMS | {"metadata": {f"a{number}": "b" for number in range(17)}},
    "metadata with a dot in its name": CLAIMS | {"metadata": {"a.b": "c"}},
    "metadata with a dollar in its name": CLAIMS | {"metadata": {"$a": "c"}},
    "metadata without a name": CLAIMS | {"metadata": {"": "c"}},
    "metadata that is no text": CLAIMS | {"metadata": {"a": "\ud800"}},
    "a view token with uses": CLAIMS | {"scope": "read:a-job", "uses": 1},
    "a view token with metadata": CLAIMS | {"scope": "read:a-job", "metadata": {"a": "b"}},
}


@pytest.mark.parametrize("claims", WRONG_CLAIMS.values(), ids=WRONG_CLAIMS)
def test_a_signed_token_with_a_wrong_claim_allows_nothing(claims: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken) as refusal:
        verify(sign(claims))

    assert refusal.value.code == "invalid_token"


def test_a_wrong_claim_is_named_but_not_repeated() -> None:
    with pytest.raises(InvalidToken, match="metadata") as refusal:
        verify(sign(CLAIMS | {"metadata": {"a": "hunter2" * 99}}))

    assert "hunter2" not in refusal.value.detail


@pytest.mark.parametrize(("seconds", "is_valid"), [(1, True), (0, True), (-59, True), (-60, False), (-3600, False)])
def test_a_token_is_valid_until_a_minute_after_its_end(seconds: int, *, is_valid: bool) -> None:
    token = sign(CLAIMS | {"exp": NOW + seconds})

    if is_valid:
        assert verify(token).owner == "ada"
    else:
        with pytest.raises(TokenExpired):
            verify(token)


def test_a_token_of_24_hours_is_valid_also_if_the_clock_is_behind() -> None:
    assert verify(sign(CLAIMS | {"exp": NOW + 86_400 + 30})).owner == "ada"


def view_token(at: float) -> str | None:
    return sign_view_token(SECRETS, owner="ada", task_id="a-job", now_ms=int(at * 1000))


def test_a_view_token_is_the_same_for_a_quarter_of_an_hour() -> None:
    start = NOW - NOW % ROUNDING_SECONDS

    assert view_token(start + 1) == view_token(start + ROUNDING_SECONDS)
    assert view_token(start + 1) != view_token(start + ROUNDING_SECONDS + 1)


@EXAMPLES
@given(at=st.floats(NOW, NOW + 86_400), seconds=st.floats(1, 86_400))
def test_a_view_token_is_valid_at_once_and_never_shorter_than_asked_for(at: float, seconds: float) -> None:
    token = sign_token(view_claims(owner="ada", task_id="a-job", now_ms=int(at * 1000), seconds=seconds), SECRETS)

    permission = verify_token(token, SECRETS, now_ms=int(at * 1000))
    assert permission.expires_ms is not None
    assert permission.expires_ms >= int((at + seconds) * 1000)


@EXAMPLES
@given(text=st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{0,60}\.[A-Za-z0-9_-]{0,60}\.[A-Za-z0-9_-]{0,50}"))
def test_no_text_is_a_token(text: str) -> None:
    with pytest.raises(InvalidToken):
        verify(text)


@EXAMPLES
@given(payload=JSON, secret=st.text(max_size=40).filter(lambda text: text not in {ADA_SECRET, ADA_OLD_SECRET}))
def test_no_claims_help_without_the_secret(payload: object, secret: str) -> None:
    claims = CLAIMS | payload if isinstance(payload, dict) else payload

    with pytest.raises((InvalidToken, UnicodeEncodeError)):
        verify(sign(claims, secret))


@EXAMPLES
@given(name=st.sampled_from([*CLAIMS, "nbf", "max_bytes", "formats", "uses", "origin", "metadata"]), value=JSON)
def test_signed_claims_of_any_kind_give_a_permission_or_a_refusal(name: str, value: object) -> None:
    token = sign(CLAIMS | {name: value})

    try:
        permission = verify(token)
    except (InvalidToken, TokenExpired):
        return
    assert (permission.owner, permission.scope) == ("ada", Scope.UPLOAD)
