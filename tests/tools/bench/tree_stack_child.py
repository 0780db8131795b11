"""Run the stack of the checkout in the current folder, by its own code, until standard input closes.

That checkout's Python runs this file, which imports nothing of the checkout that the file is in. The argument is JSON:
the arguments of `Stack`, and packages. The first line printed describes the stack; each line read is answered with its
pids.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any


def main() -> None:
    """Run the stack."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.path.insert(0, os.getcwd())  # noqa: PTH109  # a string
    from deploy.local.stack import Stack  # noqa: PLC0415  # of that tree

    request = json.loads(sys.argv[1])
    with Stack(**request["stack"]) as stack:
        _print(_describe(stack) | {"versions": _versions(request["packages"])})
        for _ in sys.stdin:
            _print(_pids(stack))


def _describe(stack: Any) -> dict[str, Any]:
    return {
        "gateway_port": stack.gateway_port,
        "redis_url": stack.redis_url,
        "mongo_url": stack.mongo_url,
        "pools": dict(stack.pools),
        "pids": _pids(stack),
    }


def _pids(stack: Any) -> dict[str, int]:
    pids = {}
    for name in stack.processes:
        try:
            pids[name] = stack.pid(name)
        except ProcessLookupError:
            continue
    return pids


def _versions(packages: list[str]) -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _print(what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
