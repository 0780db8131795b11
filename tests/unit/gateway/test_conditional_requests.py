"""If-Match and If-None-Match, by RFC 9110, section 13."""

from __future__ import annotations

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from gateway.conditional_requests import evaluate_preconditions, matches_weakly
from gateway.problems import PreconditionFailed
from tests.support.properties import EXAMPLES

STRONG, WEAK = '"abc"', 'W/"abc"'


def request(method: str, **conditions: str) -> Request:
    headers = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in conditions.items()]
    return Request({"type": "http", "method": method, "headers": headers})


@pytest.mark.parametrize("tag", [STRONG, WEAK])
@pytest.mark.parametrize(
    "header", [STRONG, WEAK, f'"other", {STRONG}', f'"other",{WEAK}', f'{STRONG} , "other"', "*", ' "abc" ']
)
def test_a_tag_that_is_named_matches_however_strong_it_is(header: str, tag: str) -> None:
    assert matches_weakly(header, tag)
    assert evaluate_preconditions(request("GET", if_none_match=header), tag)


@pytest.mark.parametrize("tag", [STRONG, WEAK])
@pytest.mark.parametrize("header", [None, "", '"other"', 'W/"other"', "abc", '"ab"', '"abcd"', 'w/"abc"', '"*"', "W/*"])
def test_a_tag_that_is_not_named_does_not_match(header: str | None, tag: str) -> None:
    assert not matches_weakly(header, tag)


def test_the_lines_of_a_header_are_one_list() -> None:
    lines = [(b"if-none-match", b'"other"'), (b"if-none-match", STRONG.encode())]

    assert evaluate_preconditions(Request({"type": "http", "method": "GET", "headers": lines}), STRONG)


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "POST"])
@pytest.mark.parametrize(
    ("header", "tag", "is_met"),
    [
        ("*", STRONG, True),
        ("*", WEAK, True),
        (STRONG, STRONG, True),
        (f'"other", {STRONG}', STRONG, True),
        (WEAK, STRONG, False),
        (STRONG, WEAK, False),
        (WEAK, WEAK, False),
        ('"other"', STRONG, False),
        ("abc", STRONG, False),
    ],
)
def test_if_match_compares_strongly(method: str, header: str, tag: str, *, is_met: bool) -> None:
    if is_met:
        assert not evaluate_preconditions(request(method, if_match=header), tag)
        return
    with pytest.raises(PreconditionFailed) as failure:
        evaluate_preconditions(request(method, if_match=header), tag)
    assert failure.value.headers["ETag"] == tag


def test_if_match_is_evaluated_before_if_none_match() -> None:
    with pytest.raises(PreconditionFailed):
        evaluate_preconditions(request("GET", if_match='"other"', if_none_match=STRONG), STRONG)


@pytest.mark.parametrize("method", ["DELETE", "POST"])
def test_a_change_of_a_state_that_must_not_be_is_refused(method: str) -> None:
    with pytest.raises(PreconditionFailed):
        evaluate_preconditions(request(method, if_none_match="*"), WEAK)


@EXAMPLES
@given(
    method=st.sampled_from(["GET", "DELETE"]),
    if_match=st.text(st.characters(max_codepoint=255), max_size=30),
    if_none_match=st.text(st.characters(max_codepoint=255), max_size=30),
)
def test_any_condition_is_met_or_not(method: str, if_match: str, if_none_match: str) -> None:
    try:
        assert not evaluate_preconditions(request(method, if_match=if_match, if_none_match=if_none_match), STRONG)
    except PreconditionFailed:
        assert if_match.strip() or if_none_match.strip()
