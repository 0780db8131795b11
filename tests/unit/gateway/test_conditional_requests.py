"""If-None-Match, by RFC 9110, section 13.1.2."""

from __future__ import annotations

import pytest

from gateway.conditional_requests import matches_etag

STRONG, WEAK = '"abc"', 'W/"abc"'


@pytest.mark.parametrize("tag", [STRONG, WEAK])
@pytest.mark.parametrize(
    "header", [STRONG, WEAK, f'"other", {STRONG}', f'"other",{WEAK}', f'{STRONG} , "other"', "*", ' "abc" ']
)
def test_a_tag_that_is_named_matches_however_strong_it_is(header: str, tag: str) -> None:
    assert matches_etag(header, tag)


@pytest.mark.parametrize("tag", [STRONG, WEAK])
@pytest.mark.parametrize("header", [None, "", '"other"', 'W/"other"', "abc", '"ab"', '"abcd"', 'w/"abc"', '"*"'])
def test_a_tag_that_is_not_named_does_not_match(header: str | None, tag: str) -> None:
    assert not matches_etag(header, tag)
