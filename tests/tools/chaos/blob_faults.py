"""Faults of the blob folder, such that they hold for root too: all of it away, and a slow disk."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.programs import run_program
from tests.tools.chaos.scene import FaultEffect, Scene

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # renameat2(2)
STRACE = "strace"
SLOW_SYNC = "1s"  # strace's notation


def blobs_away(scene: Scene) -> Iterator[FaultEffect]:
    """Put a plain file in the blob folder's place for some seconds, and have a worker's child replaced meanwhile.

    Every read and every write fails, and the new child cannot open its store.
    """
    seconds, aside = scene.pick_seconds(5, 8), scene.stack.folder / "blobs-aside"
    aside.touch()
    pool = scene.pick_pool()
    _exchange(scene.stack.blob_folder, aside)
    try:
        scene.stack.send(scene.stack.children(pool)[:1], signal.SIGKILL)
        yield FaultEffect(f"{seconds:.1f} s, {pool} meanwhile")
        time.sleep(seconds)
    finally:
        _exchange(scene.stack.blob_folder, aside)
        aside.unlink()


def blobs_slow(scene: Scene) -> Iterator[FaultEffect]:
    """Have each sync to disk take a second longer for some seconds, in gateways and workers; strace does it."""
    seconds = scene.pick_seconds(5, 8)
    attach = [word for pid in scene.stack.darkroom_pids() for word in ("-p", str(pid))]
    slow = ["-e", "trace=fsync", "-e", f"inject=fsync:delay_enter={SLOW_SYNC}"]
    with run_program(STRACE, "-f", "-qq", "-o", os.devnull, *slow, *attach):  # when it ends, it lets go of all of them
        yield FaultEffect(f"{seconds:.1f} s")
        time.sleep(seconds)


def _exchange(one: Path, other: Path) -> None:
    """Swap two paths in one step: with two, a writer could make the folder anew in between."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) != 0:
        raise OSError(ctypes.get_errno(), "the blob folder cannot be moved aside")
