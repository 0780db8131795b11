"""FerretDB 1 on SQLite: another program that speaks MongoDB's protocol, with code of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local import readiness
from deploy.local.ports import free_port
from tests.integration.api_helpers import wait_until
from tests.support.programs import ROOT, run_logged_program
from tests.support.serial_writes import run_serial_writes

BUILT = ROOT / ".cache" / "ferretdb" / "ferretdb"
OPTIONS = ("--handler=sqlite", "--telemetry=disable", "--debug-addr=-", "--log-level=error")


def find_ferretdb() -> str | None:
    """Return the path of the program, or None."""
    return str(BUILT) if BUILT.exists() else shutil.which("ferretdb")


@contextmanager
def run_ferretdb(program: str, folder: Path) -> Iterator[str]:
    """Run a server with its files in `folder`, behind `run_serial_writes`; yield its URL."""
    port = free_port()
    files = (f"--sqlite-url=file:{folder}/", f"--state-dir={folder}")
    with run_logged_program(program, *OPTIONS, *files, f"--listen-addr=127.0.0.1:{port}", log=folder / "log"):
        wait_until(lambda: readiness.is_mongo_ready(f"mongodb://127.0.0.1:{port}"), "FerretDB")
        with run_serial_writes(("127.0.0.1", port)) as proxy_port:
            yield f"mongodb://127.0.0.1:{proxy_port}/darkroom"
