"""The other end of the same contract: a Client for threads and an AsyncClient for an event loop.

    with Client() as darkroom:
        job = darkroom.wait_until_ended(darkroom.upload("photo.jpg").task_id)
        small = darkroom.result(job.task_id, "small")

Both have the same methods. Their parameters and meanings are those of the functions of the same names in calls.py and
pagination.py. An answer that is not a success raises `Problem`; transport errors are httpx's.
Both kinds are tried again where that is sound, as `Patience` says, and no repeated POST makes a second job. A job that
ended without a result raises `JobWithoutResult`: `JobFailed`, `JobDead`, `JobCancelled` or `JobExpired`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import aclosing, closing
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx

from gateway.client import calls, pagination
from gateway.client.calls import Call
from gateway.client.connection import options
from gateway.client.early_answers import read_early_answers
from gateway.client.job_errors import ensure_result
from gateway.client.methods import described
from gateway.client.models import JobStatus
from gateway.client.pagination import Flow
from gateway.client.problem import Problem
from gateway.client.retry import Attempts, Patience

P = ParamSpec("P")
T = TypeVar("T")


def _asks(build: Callable[P, Call[T]]) -> Callable[Concatenate[Client, P], T]:
    def ask(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.ask(build(*args, **kwargs))

    return described(ask, build)


def _iterates(build: Callable[P, Flow[T]]) -> Callable[Concatenate[Client, P], Iterator[T]]:
    def iterate(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return self.each(build(*args, **kwargs))

    return described(iterate, build)


def _asks_async(build: Callable[P, Call[T]]) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    async def ask(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.ask(build(*args, **kwargs))

    return described(ask, build)


def _iterates_async(build: Callable[P, Flow[T]]) -> Callable[Concatenate[AsyncClient, P], AsyncIterator[T]]:
    def iterate(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        return self.each(build(*args, **kwargs))

    return described(iterate, build)


class Client:
    """A connection to one gateway. Its methods block; threads may share it."""

    upload = _asks(calls.upload)
    crop = _asks(calls.crop)
    grayscale = _asks(calls.grayscale)
    resize = _asks(calls.resize)
    status = _asks(calls.status)
    job_page = _asks(calls.job_page)
    result = _asks(calls.result)
    save_result = _asks(calls.save_result)
    retry = _asks(calls.retry)
    delete = _asks(calls.delete)
    capabilities = _asks(calls.capabilities)
    health = _asks(calls.health)
    jobs = _iterates(pagination.jobs)
    follow = _iterates(pagination.follow)

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float = 30.0,
        patience: Patience | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Take what is not given from DARKROOM_URL and DARKROOM_API_KEY. `timeout` is of each step on the wire."""
        self._patience = patience or Patience()
        self._timeout = timeout
        self._http = httpx.Client(**options(url, api_key), transport=transport)

    def wait_until_ended(self, task_id: str, *, timeout: float | None = None) -> JobStatus:
        """Return the job once it is done. Raises `JobWithoutResult` if it ended otherwise, or TimeoutError."""
        return ensure_result(self.follow_to_end(task_id, timeout=timeout))

    def follow_to_end(self, task_id: str, *, timeout: float | None = None) -> JobStatus:
        """Return the job once it has ended, however it ended. TimeoutError after `timeout` seconds."""
        return list(self.follow(task_id, timeout=timeout))[-1]

    def ask(self, call: Call[T]) -> T:
        """Make a call, again and again while that is sound."""
        attempts = Attempts(self._patience, repeatable=call.repeatable)
        while True:
            try:
                return self._attempt(call)
            except (Problem, httpx.TransportError) as failure:
                pause = attempts.pause_after(failure, now=time.monotonic())
                if pause is None:
                    raise
            time.sleep(pause)

    def each(self, flow: Flow[T]) -> Iterator[T]:
        """Go through a flow."""
        while (call := flow.next_call()) is not None:
            yield from flow.take(self.ask(call))

    def _attempt(self, call: Call[T]) -> T:
        with call.opened() as request:
            timeout = httpx.Timeout(self._timeout, read=self._timeout + call.waits)
            answer = self._http.send(self._http.build_request(**request, timeout=timeout), stream=True)
            with closing(answer), call.receive(answer) as receiver:
                for piece in answer.iter_bytes():
                    receiver.take(piece)
                return receiver.result()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient:
    """A connection to one gateway, for one event loop. Files are read and written in short steps on the loop."""

    upload = _asks_async(calls.upload)
    crop = _asks_async(calls.crop)
    grayscale = _asks_async(calls.grayscale)
    resize = _asks_async(calls.resize)
    status = _asks_async(calls.status)
    job_page = _asks_async(calls.job_page)
    result = _asks_async(calls.result)
    save_result = _asks_async(calls.save_result)
    retry = _asks_async(calls.retry)
    delete = _asks_async(calls.delete)
    capabilities = _asks_async(calls.capabilities)
    health = _asks_async(calls.health)
    jobs = _iterates_async(pagination.jobs)
    follow = _iterates_async(pagination.follow)

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float = 30.0,
        patience: Patience | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Take what is not given from DARKROOM_URL and DARKROOM_API_KEY. `timeout` is of each step on the wire."""
        self._patience = patience or Patience()
        self._timeout = timeout
        self._http = httpx.AsyncClient(**options(url, api_key), transport=transport)
        read_early_answers(self._http)

    async def wait_until_ended(self, task_id: str, *, timeout: float | None = None) -> JobStatus:  # noqa: ASYNC109
        """Return the job once it is done. Raises `JobWithoutResult` if it ended otherwise, or TimeoutError."""
        return ensure_result(await self.follow_to_end(task_id, timeout=timeout))

    async def follow_to_end(self, task_id: str, *, timeout: float | None = None) -> JobStatus:  # noqa: ASYNC109
        """Return the job once it has ended, however it ended. TimeoutError after `timeout` seconds."""
        return [job async for job in self.follow(task_id, timeout=timeout)][-1]

    async def ask(self, call: Call[T]) -> T:
        """Make a call, again and again while that is sound."""
        attempts = Attempts(self._patience, repeatable=call.repeatable)
        while True:
            try:
                return await self._attempt(call)
            except (Problem, httpx.TransportError) as failure:
                pause = attempts.pause_after(failure, now=time.monotonic())
                if pause is None:
                    raise
            await asyncio.sleep(pause)

    async def each(self, flow: Flow[T]) -> AsyncIterator[T]:
        """Go through a flow."""
        while (call := flow.next_call()) is not None:
            for found in flow.take(await self.ask(call)):
                yield found

    async def _attempt(self, call: Call[T]) -> T:
        with call.opened() as request:
            timeout = httpx.Timeout(self._timeout, read=self._timeout + call.waits)
            answer = await self._http.send(self._http.build_request(**request, timeout=timeout), stream=True)
            async with aclosing(answer):
                with call.receive(answer) as receiver:
                    async for piece in answer.aiter_bytes():
                        receiver.take(piece)
                    return receiver.result()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
