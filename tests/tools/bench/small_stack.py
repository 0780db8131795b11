"""python -m tests.tools.bench.small_stack FOLDER PROCS: a stack with one pool, in the control group of PROCS.

It prints its address and the ids of its processes as JSON, and ends with its standard input.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from deploy.local.pools import choose_pools
from deploy.local.stack import Stack


def main(folder: str, procs: str) -> None:
    """Join the group, so that all processes of the stack are in it, and run until the input ends."""
    Path(procs).write_text(str(os.getpid()))
    with Stack(folder, **choose_pools("all", cores=os.cpu_count() or 1)) as stack:
        processes = {name: [stack.pid(name), *stack.children(name)] for name in stack.processes}
        sys.stdout.write(json.dumps({"port": stack.gateway_port, "processes": processes}) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
