"""Both fronts before a gateway that does not answer: they never say that a request was not received when it was."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from deploy.local.frontend_server import describe_failure
from gateway.client import Client, Problem, RetryPolicy
from tests.integration.front_servers import Front, run_local_front, run_nginx
from tests.integration.silent_gateway import SilentGateway, run_silent_gateway

QUICK = {"proxy_connect_timeout 3s": "proxy_connect_timeout 1s", "proxy_read_timeout 75s": "proxy_read_timeout 1s"}
METHODS = ["GET", "POST", "DELETE"]


@pytest.fixture(scope="module")
def gateway() -> Iterator[SilentGateway]:
    """A gateway that answers nothing."""
    with run_silent_gateway() as server:
        yield server


@pytest.fixture(scope="module")
def nginx(gateway: SilentGateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """The nginx that is deployed, but less patient."""
    with run_nginx(gateway.url, tmp_path_factory.mktemp("nginx"), replaced=QUICK) as front:
        yield front


@pytest.fixture(scope="module")
def local(gateway: SilentGateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """The front of `./run up`."""
    with run_local_front(gateway.url, tmp_path_factory.mktemp("front")) as front:
        yield front


@pytest.fixture(params=["nginx", "local"])
def front(request: pytest.FixtureRequest) -> Front:
    """Each of the two."""
    found: Front = request.getfixturevalue(request.param)
    return found


def reason(answer: httpx.Response) -> tuple[int, str, str | None]:
    """Return the status, the code and Retry-After of an answer, whose document repeats the status."""
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
    return answer.status_code, answer.json()["code"], answer.headers.get("retry-after")


@pytest.mark.parametrize("method", METHODS)
def test_a_lost_connection_is_a_502_and_the_gateway_gets_the_request_once(
    front: Front, gateway: SilentGateway, method: str
) -> None:
    gateway.received.clear()

    answer = front.api.request(method, "/jobs/an-id")

    assert reason(answer) == (502, "bad_gateway", None)
    assert gateway.received == [method]


def test_the_client_does_not_repeat_a_removal_that_may_have_been_done(front: Front, gateway: SilentGateway) -> None:
    gateway.received.clear()

    with Client(front.url + "/api", retry_policy=RetryPolicy(seconds=20, base=0.01)) as client:
        with pytest.raises(Problem, match="502 bad_gateway"):
            client.delete("an-id")
        with pytest.raises(Problem, match="502 bad_gateway"):
            client.retry("an-id")

    assert gateway.received == ["DELETE", "POST"]


@pytest.mark.parametrize("method", METHODS)
def test_an_answer_that_is_late_is_a_504(nginx: Front, method: str) -> None:
    assert reason(nginx.api.request(method, "/held")) == (504, "gateway_timeout", None)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (httpx.ConnectError("refused"), 503),
        (httpx.ConnectTimeout("late"), 503),
        (httpx.ReadTimeout("late"), 504),
        (httpx.ReadError("reset"), 502),
        (httpx.RemoteProtocolError("closed"), 502),
    ],
    ids=repr,
)
def test_the_local_front_tells_them_apart_by_the_error(error: httpx.TransportError, status: int) -> None:
    assert describe_failure(error).status_code == status


def test_a_gateway_that_takes_no_connection_in_time_has_received_nothing(tmp_path: Path) -> None:
    with ExitStack() as resources:
        with run_silent_gateway() as gateway:
            nginx = resources.enter_context(run_nginx(gateway.url, tmp_path, replaced=QUICK))
        full = resources.enter_context(socket.create_server(gateway.server_address, backlog=0))
        resources.enter_context(socket.create_connection(full.getsockname()))

        answer = nginx.api.delete("/jobs/an-id")

    assert reason(answer) == (503, "unavailable", "5")


@pytest.mark.parametrize("method", METHODS)
def test_nginx_sends_only_a_get_to_a_second_gateway(gateway: SilentGateway, tmp_path: Path, method: str) -> None:
    gateway.received.clear()
    with run_silent_gateway() as second:
        two = f"upstream gateways {{ server {gateway.address}; server {second.address}; }}\n\nproxy_cache_path"
        with run_nginx("http://gateways", tmp_path, replaced={"proxy_cache_path": two}) as nginx:
            answer = nginx.api.request(method, "/jobs/an-id")

        received = gateway.received + second.received
    assert reason(answer) == (502, "bad_gateway", None)
    assert received == [method] * (2 if method == "GET" else 1)
