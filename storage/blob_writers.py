"""Writers of one blob whose bytes come one after the other."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from storage.local_files import create_unfinished, write_all

if TYPE_CHECKING:
    from obstore import AsyncWritableFile

PIECE_BYTES = 128 * 1024
"""Least bytes that a thread writes at once: each change of the thread costs as much as to write 100 KiB."""
MAX_THREADS = 8

Observe = Callable[[bytes], object]

_threads = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="blob-writer")


class BlobWriter(Protocol):
    """What takes the chunks of a blob."""

    async def write(self, chunk: bytes, /) -> object:
        """Take the next chunk."""


class ObservedWriter:
    """Another writer, with a function that is called with each chunk."""

    def __init__(self, file: AsyncWritableFile, observe: Observe) -> None:
        self._file = file
        self._observe = observe

    async def write(self, chunk: bytes, /) -> None:
        """Write the next chunk."""
        self._observe(chunk)
        await self._file.write(chunk)


class FolderWriter:
    """Writes a file in large pieces, and in threads, as a write may block. Meanwhile the next piece may come.

    Until all is written, the file has a name such as `original#1`, which obstore's listings leave out. `observe` is
    called with each chunk in the thread that writes it, `sync` in a thread once the file has its own name.
    """

    def __init__(self, path: Path, *, observe: Observe | None, sync: Callable[[], object]) -> None:
        self._path = path
        self._observe = observe
        self._sync = sync
        self._chunks: list[bytes] = []
        self._waiting_bytes = 0
        self._writing: asyncio.Future[None] | None = None
        self._lock = Lock()  # a thread goes on though its caller was cancelled
        self._descriptor = -1
        self._temporary = ""
        self._is_aborted = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Let the file have its name at the end of the block, or remove it if the block raises."""
        try:
            yield
            await self._wait_for_write()
            await _run_in_thread(self._finish)
        except BaseException:
            await asyncio.shield(_run_in_thread(self._abort))
            raise

    async def write(self, chunk: bytes, /) -> None:
        """Write the next chunk, perhaps together with those that follow. Its error may be raised by the next call."""
        self._chunks.append(chunk)
        self._waiting_bytes += len(chunk)
        if self._waiting_bytes >= PIECE_BYTES:
            await self._wait_for_write()
            self._writing = _run_in_thread(partial(self._write, self._take_chunks()))
            self._writing.add_done_callback(_retrieve_error)

    async def _wait_for_write(self) -> None:
        if self._writing is not None:
            await asyncio.shield(self._writing)  # a caller that gives up waiting may write on

    def _take_chunks(self) -> list[bytes]:
        chunks, self._chunks, self._waiting_bytes = self._chunks, [], 0
        return chunks

    def _write(self, chunks: list[bytes]) -> None:
        with self._lock:
            if self._is_aborted:
                return
            if self._descriptor < 0:
                self._descriptor, self._temporary = create_unfinished(str(self._path))
            for chunk in chunks:
                if self._observe is not None:
                    self._observe(chunk)
                write_all(self._descriptor, chunk)

    def _finish(self) -> None:
        self._write(self._take_chunks())
        with self._lock:
            if self._is_aborted:
                return
            self._close()
            Path(self._temporary).rename(self._path)
            try:
                self._sync()
            except OSError:
                self._path.unlink(missing_ok=True)
                raise

    def _abort(self) -> None:
        with self._lock:
            self._is_aborted = True
            if self._temporary:
                self._close()
                Path(self._temporary).unlink(missing_ok=True)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _run_in_thread(work: Callable[[], None]) -> asyncio.Future[None]:
    return asyncio.get_running_loop().run_in_executor(_threads, work)


def _retrieve_error(writing: asyncio.Future[None]) -> None:
    """Let asyncio not log an error that nobody waits for, as the block has raised another one."""
    if not writing.cancelled():
        writing.exception()
