"""Chromium as an oracle: each file in an `<img>`, drawn to a canvas, as a page with sRGB colours shows it."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from typing import Self

from PIL import Image

from stages.scale import fit_size
from tests.support.programs import report_end, start_program
from tests.tools.pixels.child_program import ReadOptions
from tests.tools.pixels.chromium_server import Answer, PageServer
from tests.tools.pixels.reading import BACKGROUNDS, REFUSED, Reading, Views, reduce_view

NAME = "chromium"
FORMATS = frozenset({"jpeg", "png", "gif", "webp", "bmp", "avif"})
PROGRAMS = (
    "chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)  # fmt: skip
FLAGS = (
    "--headless",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--force-color-profile=srgb",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--password-store=basic",
    "--use-mock-keychain",
)
_ROUGH_SIDE = 1024  # the page averages down to one to two times as many pixels a side, Pillow averages the rest
_START_SECONDS = 30


def find_browser() -> str | None:
    """Return the path of an installed Chromium or Chrome, or None."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class ChromiumProgram:
    """A browser with one page that reads file after file. It is started again when a file makes it die or hang."""

    name, formats = NAME, FORMATS

    def __init__(self, program: str, options: ReadOptions) -> None:
        self._program, self._options, self._stack = program, options, ExitStack()
        self._numbers = count()
        self._browser: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._server = self._stack.enter_context(PageServer(_ROUGH_SIDE))
        self._folder = self._stack.enter_context(
            tempfile.TemporaryDirectory(prefix="darkroom-pixels-browser-", ignore_cleanup_errors=True)
        )
        self._stack.callback(self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def read(self, files: Iterable[Path]) -> Iterator[tuple[Path, Reading]]:
        """Yield one reading for each file, in their order."""
        for file in files:
            yield file, self._read(file)

    def _read(self, file: Path) -> Reading:
        seconds = self._options.timeout
        if self._browser is None:
            self._start()
            seconds += _START_SECONDS
        number = next(self._numbers)
        self._server.files[number] = file
        self._server.orders.put(number)
        answer = self._await_answer(number, seconds)
        del self._server.files[number]
        if answer is None:
            self._stop()
            return Reading(fault=f"hang: no answer within {seconds:g} s")
        return _to_reading(answer, self._options.edge)

    def _await_answer(self, number: int, seconds: float) -> Answer | None:
        """Return the answer to an order, or None if none comes. Late answers to earlier orders are dropped."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                answer = self._server.answers.get(timeout=left)
            except queue.Empty:
                break
            if answer[0] == number:
                return answer
        return None

    def _start(self) -> None:
        # The browser's own sandbox does not work for root, as in a container.
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        profile = tempfile.mkdtemp(dir=self._folder)
        command = [self._program, *FLAGS, *sandbox, f"--user-data-dir={profile}", self._server.url]
        self._browser = start_program(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _stop(self) -> None:
        if self._browser is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._browser.pid, signal.SIGKILL)  # some installations start it by a script
            self._browser.wait()
            report_end(self._browser)
            self._browser = None


def _to_reading(answer: Answer, edge: int) -> Reading:
    _, facts, pixels = answer
    if "refusal" in facts:
        return Reading(code=REFUSED, message=facts["refusal"])
    width, height, columns, rows = (int(facts[name]) for name in ("width", "height", "columns", "rows"))
    views = _views(pixels, (columns, rows), fit_size((width, height), edge))
    return Reading(width=width, height=height, views=views, is_partial=facts["partial"] == "1")


def _views(pixels: bytes, rough: tuple[int, int], size: tuple[int, int]) -> Views:
    length = rough[0] * rough[1] * 3
    return tuple(
        reduce_view(Image.frombytes("RGB", rough, pixels[index * length : (index + 1) * length]), size)
        for index in range(len(BACKGROUNDS))
    )
