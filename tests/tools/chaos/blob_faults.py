"""Faults of the blob folder, such that they hold for root too: all of it away, no room to write, and a slow disk."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.support.programs import run_program
from tests.tools.chaos.scene import FaultEffect, Scene
from tests.tools.chaos.stack import ChaosStack

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # renameat2(2)
MAX_FILE_BYTES = 4096  # bytes of a file that still can be written
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


def blobs_full(scene: Scene) -> Iterator[FaultEffect]:
    """Let nobody write more than the first KiB of a file for some seconds: writes begin and fail, as on a full disk."""
    seconds = scene.pick_seconds(2, 5)
    _limit_files(scene.stack, MAX_FILE_BYTES)
    try:
        yield FaultEffect(f"{seconds:.1f} s")
        time.sleep(seconds)
    finally:
        _limit_files(scene.stack, None)


def blobs_slow(scene: Scene) -> Iterator[FaultEffect]:
    """Have each sync to disk take a second longer for some seconds, in gateways and workers; strace does it."""
    strace = shutil.which("strace")
    if strace is None:
        return
    seconds = scene.pick_seconds(5, 8)
    pids = [pid for name in _writers(scene.stack) for pid in (scene.stack.pid(name), *scene.stack.children(name))]
    attach = [word for pid in pids for word in ("-p", str(pid))]
    slow = ["-e", "trace=fsync", "-e", f"inject=fsync:delay_enter={SLOW_SYNC}"]
    with run_program(strace, "-f", "-qq", "-o", os.devnull, *slow, *attach):  # when it ends, it lets go of all of them
        yield FaultEffect(f"{seconds:.1f} s")
        time.sleep(seconds)


def _exchange(one: Path, other: Path) -> None:
    """Swap two paths in one step: with two, a writer could make the folder anew in between."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) != 0:
        raise OSError(ctypes.get_errno(), "the blob folder cannot be moved aside")


def _limit_files(stack: ChaosStack, size: int | None) -> None:
    """Bound the size of files that gateways and workers write; Python ignores the signal, so writes raise OSError."""
    for name in _writers(stack):
        _limit(stack.pid(name), size)
        for child in stack.children(name):  # those born from here on have it from their parent
            _limit(child, size)


def _writers(stack: ChaosStack) -> list[str]:
    return [name for name in stack.autostart_processes if stack.processes[name].group == "darkroom"]


def _limit(pid: int, size: int | None) -> None:
    with suppress(ProcessLookupError):
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))
