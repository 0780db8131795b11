"""The rate limit: who is counted, what they are told, and that nobody is shut out for want of a count."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from starlette.types import Message, Receive, Scope, Send
from structlog.typing import EventDict

from gateway.middleware.rate_limit import RateLimit, caller_of, create_limiter
from gateway.permission import Permission
from gateway.permission import Scope as TokenScope
from tests.support.fakes import UNREACHABLE_URL

LIMIT = parse("2/hour")
HOUR = 3600


class Inside:
    """An application that takes every request, behind a limit, and what its clients saw."""

    def __init__(self, counter: SlidingWindowCounterRateLimiter) -> None:
        self.taken = 0
        self.read = 0
        self.sent: list[Message] = []
        self._guarded = RateLimit(self, limiter=counter, posts=LIMIT)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        self.taken += 1
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 202, "headers": [(b"location", b"/here")]})
            await send({"type": "http.response.body", "body": b"{}"})

    async def asked(
        self, *, owner: str | None = None, address: str | None = "192.0.2.1", method: str = "POST", kind: str = "http"
    ) -> int:
        """Ask it, through the limit; return the status of the answer, 0 where there is none."""

        async def receive() -> Message:
            self.read += 1
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            self.sent.append(message)

        self.sent.clear()
        state = {"permission": Permission(owner=owner)}
        scope: dict[str, Any] = {"type": kind, "method": method, "path": "/upload", "state": state}
        scope["client"] = None if address is None else (address, 1234)
        await self._guarded(scope, receive, send)
        return int(self.sent[0]["status"]) if self.sent else 0

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers of the last answer."""
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def problem(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.sent[1]["body"])
        return body


@pytest.fixture
def inside() -> Inside:
    return Inside(SlidingWindowCounterRateLimiter(MemoryStorage()))


@pytest.fixture
def uncounted() -> Inside:
    """Behind a limit whose store does not answer."""
    return Inside(create_limiter(UNREACHABLE_URL))


async def test_as_many_requests_as_allowed_are_taken(inside: Inside) -> None:
    assert [await inside.asked() for _ in range(2)] == [202, 202]


async def test_one_more_is_not(inside: Inside) -> None:
    assert [await inside.asked() for _ in range(4)] == [202, 202, 429, 429]


async def test_what_is_over_the_limit_reaches_nobody(inside: Inside) -> None:
    for _ in range(4):
        await inside.asked()

    assert (inside.taken, inside.read) == (2, 0)


async def over(inside: Inside) -> Inside:
    """Ask once more than is allowed."""
    for _ in range(3):
        await inside.asked()
    return inside


async def test_what_is_over_the_limit_is_a_problem(inside: Inside) -> None:
    problem = (await over(inside)).problem

    assert (problem["status"], problem["code"]) == (429, "rate_limited")


async def test_a_client_over_the_limit_is_told_the_limit(inside: Inside) -> None:
    assert "2 requests in 3600 seconds" in (await over(inside)).problem["detail"]


async def test_a_client_over_the_limit_is_told_when_to_come_back(inside: Inside) -> None:
    assert 1 <= int((await over(inside)).headers["retry-after"]) <= HOUR


async def test_a_client_over_the_limit_has_nothing_left(inside: Inside) -> None:
    assert (await over(inside)).headers["ratelimit"].startswith('"default";r=0;t=')


async def test_every_answer_tells_the_policy(inside: Inside) -> None:
    told = []
    for _ in range(3):
        await inside.asked()
        told.append(inside.headers["ratelimit-policy"])

    assert told == ['"default";q=2;w=3600'] * 3


async def test_every_answer_tells_what_is_left(inside: Inside) -> None:
    left = []
    for _ in range(3):
        await inside.asked()
        left.append(re.fullmatch(r'"default";r=(\d+);t=\d+', inside.headers["ratelimit"]))

    assert [found and found[1] for found in left] == ["1", "0", "0"]


async def test_every_answer_tells_when_there_is_more(inside: Inside) -> None:
    await inside.asked()

    seconds = int(inside.headers["ratelimit"].rpartition("t=")[2])
    assert 0 <= seconds <= HOUR


async def test_an_answer_keeps_its_own_headers(inside: Inside) -> None:
    await inside.asked()

    assert inside.headers["location"] == "/here"


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
async def test_what_is_no_post_is_not_counted(inside: Inside, method: str) -> None:
    for _ in range(5):
        await inside.asked(method=method)

    assert await inside.asked() == 202


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_what_is_no_post_is_taken_over_the_limit_too(inside: Inside, method: str) -> None:
    await over(inside)

    assert await inside.asked(method=method) == 202


async def test_what_is_not_counted_is_told_no_limit(inside: Inside) -> None:
    await inside.asked(method="GET")

    assert "ratelimit" not in inside.headers


@pytest.mark.parametrize(
    "other",
    [{"address": "192.0.2.2"}, {"address": "2001:db8::1"}, {"address": None}, {"owner": "ada"}],
    ids=["address", "v6", "unknown", "owner"],
)
async def test_callers_are_counted_apart(inside: Inside, other: dict[str, str | None]) -> None:
    await over(inside)

    assert await inside.asked(**other) == 202  # type: ignore[arg-type]  # none of them is `kind`


async def test_owners_are_counted_apart_at_one_address(inside: Inside) -> None:
    for _ in range(3):
        await inside.asked(owner="ada")

    assert await inside.asked(owner="zoe") == 202


async def test_an_owner_is_counted_at_every_address_together(inside: Inside) -> None:
    statuses = [await inside.asked(owner="ada", address=f"192.0.2.{i}") for i in range(3)]

    assert statuses == [202, 202, 429]


async def test_an_owner_cannot_be_named_like_an_address(inside: Inside) -> None:
    await over(inside)

    assert await inside.asked(owner="192.0.2.1") == 202


def caller(owner: str, address: str, scope: TokenScope = TokenScope.ALL) -> str:
    return caller_of({"state": {"permission": Permission(owner=owner, scope=scope)}, "client": (address, 1234)})


@pytest.mark.parametrize("scope", [TokenScope.UPLOAD, TokenScope.READ])
def test_a_token_counts_as_its_owner_and_its_address(scope: TokenScope) -> None:
    callers = {
        caller("ada", "192.0.2.1", scope),
        caller("ada", "192.0.2.2", scope),
        caller("zoe", "192.0.2.1", scope),
        caller("ada", "192.0.2.1"),
    }

    assert len(callers) == 4
    assert caller("ada", "192.0.2.1", scope) in callers


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
    ],
)
def test_addresses_of_one_ipv6_network_count_together(
    one: str, other: str, is_same: bool
) -> None:  # a parameter of the test
    callers = {caller("ada", address, TokenScope.UPLOAD) for address in (one, other)}

    assert (len(callers) == 1) is is_same


async def test_callers_without_an_address_are_counted_together(inside: Inside) -> None:
    assert [await inside.asked(address=None) for _ in range(3)] == [202, 202, 429]


async def test_without_its_store_everything_is_taken(uncounted: Inside) -> None:
    assert [await uncounted.asked() for _ in range(4)] == [202] * 4


async def test_what_could_not_be_counted_is_told_no_limit(uncounted: Inside) -> None:
    await uncounted.asked()

    assert "ratelimit" not in uncounted.headers


async def test_what_could_not_be_counted_is_logged(uncounted: Inside, logs: list[EventDict]) -> None:
    await uncounted.asked()

    assert [event["event"] for event in logs] == ["rate_limit.uncounted"]


async def test_what_is_no_request_is_passed_on(inside: Inside) -> None:
    for _ in range(3):
        await inside.asked(kind="websocket")

    assert inside.taken == 3
