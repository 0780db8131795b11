"""Content-Digest, by RFC 9530: what is checked, what is let be, and what cannot be read."""

from __future__ import annotations

from base64 import b64encode
from contextlib import suppress
from hashlib import md5, sha256, sha512

import pytest

from gateway.problems import DigestMismatch, InvalidHeader
from gateway.submission.content_digest import ContentDigest

BODY = b'{"hello": "world"}\n'
# RFC 9530, appendix B.1 and D, of the body above
SHA256 = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
SHA512 = f"sha-512=:{b64encode(sha512(BODY).digest()).decode()}:"
MD5 = f"md5=:{b64encode(md5(BODY, usedforsecurity=False).digest()).decode()}:"
OTHER = f"sha-256=:{b64encode(sha256(b'other').digest()).decode()}:"


def check(header: str | None, *chunks: bytes) -> None:
    digest = ContentDigest(header)
    for chunk in chunks:
        digest.update(chunk)
    digest.verify()


@pytest.mark.parametrize("chunks", [[BODY], [BODY[:5], BODY[5:]], [b"", BODY, b""]], ids=["whole", "pieces", "empty"])
def test_a_body_that_is_what_was_hashed_passes(chunks: list[bytes]) -> None:
    check(SHA256, *chunks)


@pytest.mark.parametrize("body", [b"", BODY[:-1], BODY + b"x", b"x" + BODY, BODY.upper()])
def test_a_body_that_is_not_what_was_hashed_is_refused(body: bytes) -> None:
    with pytest.raises(DigestMismatch):
        check(SHA256, body)


def test_an_empty_body_can_be_hashed_too() -> None:
    check(f"sha-256=:{b64encode(sha256().digest()).decode()}:")


def test_a_body_without_a_digest_passes() -> None:
    check(None, BODY)


@pytest.mark.parametrize("header", [SHA512, MD5, f"{MD5}, {SHA512}", "sha-512=:YWJj:", "md5=:abc:"])
def test_another_algorithm_is_let_be(header: str) -> None:
    check(header, b"whatever")


@pytest.mark.parametrize(
    "header", [f"{SHA512}, {SHA256}", f"{SHA256},{MD5}", f"  {SHA256}  ", f"{MD5} ,\t{SHA256} , {SHA512}"]
)
def test_of_several_members_the_sha256_counts(header: str) -> None:
    check(header, BODY)

    with pytest.raises(DigestMismatch):
        check(header, BODY + b"x")


def test_of_two_members_of_one_name_the_last_counts() -> None:
    check(f"{OTHER}, {SHA256}", BODY)


@pytest.mark.parametrize("value", ["", "YWJj", "A" * 88])
def test_a_digest_of_another_length_does_not_match(value: str) -> None:
    with pytest.raises(DigestMismatch):
        check(f"sha-256=:{value}:", BODY)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "nonsense",
        "sha-256",
        "sha-256=abc",
        SHA256.strip(":"),
        SHA256.replace("=:", "="),
        SHA256.replace("sha", "SHA"),
        SHA256.replace("/", "_"),
        SHA256.replace("0", "ö"),
        f"{SHA256}, nonsense",
        f"{SHA256},,{MD5}",
        f"{SHA256};",
        "sha-256=:abc:",
        "sha-256=:a=:",
        "sha-256=:a==:",
        f"{MD5}, sha-256=:abcde:",
    ],
)
def test_a_header_that_cannot_be_read_is_refused(header: str) -> None:
    with pytest.raises(InvalidHeader):
        ContentDigest(header)


def test_what_is_not_checked_is_not_hashed() -> None:
    digest = ContentDigest(SHA512)

    with suppress(DigestMismatch):
        digest.update(BODY)

    assert digest._digest.digest() == sha256().digest()
