"""Proxies in a row, such as an ingress and nginx: the gateway still learns the client's address."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from ipaddress import ip_network
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from gateway.middleware.trusted_proxies import TrustedProxies
from tests.integration.front_servers import Front, run_application, run_local_front, run_nginx

RunFront = Callable[[str, Path], AbstractContextManager[Front]]


async def show_client(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
    """Answer with the client's address."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(scope["client"][0]).encode()})


@pytest.mark.parametrize("run_front", [run_nginx, run_local_front])
def test_a_client_behind_two_proxies_is_told_from_others_and_cannot_forge_its_address(
    run_front: RunFront, tmp_path: Path
) -> None:
    application = TrustedProxies(show_client, networks=[ip_network("127.0.0.1")])
    with run_application(application) as url, run_front(url, tmp_path) as front:
        seen = [
            front.api.get("/jobs", headers={"X-Forwarded-For": value}).json()
            for value in ("203.0.113.9", "198.51.100.66, 203.0.113.9", "10.0.0.5, 2001:db8::7")
        ]

    assert seen == ["203.0.113.9", "203.0.113.9", "2001:db8::7"]
