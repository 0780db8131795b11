"""A process that takes inputs one by one and may die of any of them."""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from pipeline.memory_limit import limit_memory
from pipeline.worker_settings import WorkSettings
from tests.tools.fuzz.seed_files import draw_seed_files

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_STAGES = "/stages/"


@dataclass(frozen=True, slots=True)
class ChildResult:
    """How an input ended where the process lived: a refusal's code, or an exception and where it was raised."""

    code: str
    exception: str
    trace: str
    peak: int


Trial = Callable[[bytes, Callable[[str], None]], str]
"""Takes an input and a way to tell which stage it enters; returns a refusal's code or nothing, as `run_stages` does."""


def serve(connection: Connection, log: str, trial: Trial, formats: tuple[str, ...]) -> None:
    """Answer each input that arrives with the names of the stages it enters, then with its ChildResult.

    The first answer is this process's resident bytes once everything is imported and every decoder was used.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to answer
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), sys.stderr.fileno())
    faulthandler.enable()
    for name in formats:
        trial(draw_seed_files(name)[0], lambda _stage: None)
    limit_memory(WorkSettings().max_image_memory_mib)
    _forget_peak()
    connection.send(peak_bytes())
    while True:
        try:
            original = connection.recv_bytes()
        except EOFError:  # the parent has ended
            return
        _forget_peak()
        connection.send(_run_trial(original, trial, connection))


def peak_bytes() -> int:
    """Return the most bytes this process had resident since they were last forgotten, or ever where they cannot be."""
    if _STATUS.exists():
        return int(_STATUS.read_text().partition("VmHWM:")[2].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _forget_peak() -> None:
    if _CLEAR.exists():
        _CLEAR.write_text("5")  # proc(5): resets VmHWM


def _run_trial(original: bytes, trial: Trial, connection: Connection) -> ChildResult:
    try:
        return ChildResult(trial(original, connection.send), "", "", peak_bytes())
    except BaseException as error:  # noqa: BLE001  a panic of the Rust extension is no Exception
        ours = [frame for frame in traceback.extract_tb(error.__traceback__) if _STAGES in frame.filename]
        what = f"{type(error).__name__} at {Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else str(error)
        return ChildResult("", what, traceback.format_exc(), peak_bytes())
