"""A free port is returned once, also across processes that run at the same time."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

from deploy.local.ports import free_port, is_free

MANY = 300  # of 12,000: without reservations, two of them would almost surely be equal


def test_no_port_is_returned_twice() -> None:
    given = [free_port() for _ in range(MANY)]

    assert len(set(given)) == MANY


def test_another_process_gets_none_of_these_ports() -> None:
    given = {free_port() for _ in range(MANY)}
    code = (
        "import json; from deploy.local.ports import free_port; "
        f"print(json.dumps([free_port() for _ in range({MANY})]))"
    )

    theirs = json.loads(subprocess.check_output([sys.executable, "-c", code], text=True))

    assert not given & set(theirs)


def test_a_port_in_use_is_skipped() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        taken = server.getsockname()[1]

        assert not is_free(taken)
        assert free_port(taken) != taken
