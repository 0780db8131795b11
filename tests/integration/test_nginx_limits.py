"""What nginx lets a client do to others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.front_servers import run_nginx
from tests.integration.upstream_server import UpstreamServer, run_upstream_server


@pytest.fixture
def upstream() -> Iterator[UpstreamServer]:
    """A server in place of the gateway."""
    with run_upstream_server() as server:
        yield server


@pytest.mark.parametrize(
    ("trusted", "proto", "prefix"),
    [
        pytest.param("127.0.0.0/8, ::1", "https", "/photos/api", id="of a trusted proxy"),
        pytest.param("10.0.0.0/8 192.168.0.0/16", "http", "/api", id="of somebody else"),
    ],
)
def test_what_another_proxy_reports_is_passed_on_if_it_is_trusted(
    upstream: UpstreamServer, tmp_path: Path, trusted: str, proto: str, prefix: str
) -> None:
    reported = {"X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/photos"}
    with run_nginx(upstream.url, tmp_path, DARKROOM_TRUSTED_PROXIES=trusted) as front:
        seen = front.api.get("/jobs", headers=reported).json()

    assert (seen["x-forwarded-proto"], seen["x-forwarded-prefix"]) == (proto, prefix)
