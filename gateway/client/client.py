"""The clients of a gateway: `Client` blocks, `AsyncClient` is for asyncio.

    with Client() as darkroom:
        job = darkroom.wait_until_ended(darkroom.upload("photo.jpg").task_id)
        small = darkroom.result(job.task_id, "small")

Both have the same methods, built from the functions of the same names in calls.py and pagination.py.

Errors of all methods: an answer that is not a success raises `Problem`; a transport error raises httpx's
`TransportError`. Both are retried where that is safe, as `RetryPolicy` says. A retried POST never creates a second job,
because all attempts have the same Idempotency-Key.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import aclosing, closing
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx

from . import bulk_calls, calls, event_stream, pagination, webhook_calls
from .call import Call
from .connection import client_options, raise_as_transport_error
from .deadline import check_deadlines
from .early_answers import read_early_answers
from .event_stream import Subscription
from .job_errors import ensure_result
from .models import JobStatus
from .pagination import CallSequence
from .problem import Problem
from .retry import RetryPolicy, RetryState
from .signatures import copy_signature
from .streaming import iterate_events, iterate_events_async
from .webhook_models import Event

P = ParamSpec("P")
T = TypeVar("T")


def _build_method(build: Callable[P, Call[T]]) -> Callable[Concatenate[Client, P], T]:
    def send_call(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.send_call(build(*args, **kwargs))

    return copy_signature(send_call, build)


def _build_iterator(build: Callable[P, CallSequence[T]]) -> Callable[Concatenate[Client, P], Iterator[T]]:
    def iterate(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return self.iterate_sequence(build(*args, **kwargs))

    return copy_signature(iterate, build)


def _build_async_method(build: Callable[P, Call[T]]) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    async def send_call(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.send_call(build(*args, **kwargs))

    return copy_signature(send_call, build)


def _build_async_iterator(
    build: Callable[P, CallSequence[T]],
) -> Callable[Concatenate[AsyncClient, P], AsyncIterator[T]]:
    def iterate(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        return self.iterate_sequence(build(*args, **kwargs))

    return copy_signature(iterate, build)


def _build_event_iterator(build: Callable[P, Subscription]) -> Callable[Concatenate[Client, P], Iterator[Event]]:
    def iterate(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[Event]:
        return self.iterate_events(build(*args, **kwargs))

    return copy_signature(iterate, build)


def _build_async_event_iterator(
    build: Callable[P, Subscription],
) -> Callable[Concatenate[AsyncClient, P], AsyncIterator[Event]]:
    def iterate(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[Event]:
        return self.iterate_events(build(*args, **kwargs))

    return copy_signature(iterate, build)


class Client:
    """A client of one gateway. Its methods block; threads may share it. Close it, or use it as a context manager."""

    upload = _build_method(calls.upload)
    crop = _build_method(calls.crop)
    grayscale = _build_method(calls.grayscale)
    resize = _build_method(calls.resize)
    process = _build_method(calls.process)
    status = _build_method(calls.status)
    job_page = _build_method(calls.job_page)
    result = _build_method(calls.result)
    save_result = _build_method(calls.save_result)
    retry = _build_method(calls.retry)
    reprocess = _build_method(calls.reprocess)
    bulk = _build_method(bulk_calls.bulk)
    bulk_status = _build_method(bulk_calls.bulk_status)
    cancel_bulk = _build_method(bulk_calls.cancel_bulk)
    delete = _build_method(calls.delete)
    create_token = _build_method(calls.create_token)
    capabilities = _build_method(calls.capabilities)
    health = _build_method(calls.health)
    create_webhook = _build_method(webhook_calls.create_webhook)
    webhooks = _build_method(webhook_calls.webhooks)
    webhook = _build_method(webhook_calls.webhook)
    update_webhook = _build_method(webhook_calls.update_webhook)
    delete_webhook = _build_method(webhook_calls.delete_webhook)
    rotate_webhook_secret = _build_method(webhook_calls.rotate_webhook_secret)
    delivery_page = _build_method(webhook_calls.delivery_page)
    delivery = _build_method(webhook_calls.delivery)
    redeliver = _build_method(webhook_calls.redeliver)
    test_webhook = _build_method(webhook_calls.test_webhook)
    jobs = _build_iterator(pagination.jobs)
    deliveries = _build_iterator(pagination.deliveries)
    events = _build_event_iterator(event_stream.events)
    follow = _build_iterator(pagination.follow)

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float = 30.0,
        retry_policy: RetryPolicy | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Configure the client. No connection is made yet.

        `url` and `api_key` are by default DARKROOM_URL and DARKROOM_API_KEY; without either, the address is
        http://127.0.0.1:8001. `timeout` is in seconds, for each network operation: connect, send, receive. Raises
        httpx.InvalidURL.
        """
        self._retry_policy = retry_policy or RetryPolicy()
        self._timeout = timeout
        self._http = httpx.Client(**client_options(url, api_key), transport=transport)
        check_deadlines(self._http)

    def wait_until_ended(self, task_id: str, *, timeout: float | None = None) -> JobStatus:
        """Wait until the job has ended, and return it if it has results.

        Raises `JobFailed`, `JobDead`, `JobCancelled` or `JobExpired` if it has none (all are `JobWithoutResult`), and
        TimeoutError after `timeout` seconds. Without a `timeout`, it waits for ever.
        """
        return ensure_result(self.follow_to_end(task_id, timeout=timeout))

    def follow_to_end(self, task_id: str, *, timeout: float | None = None) -> JobStatus:
        """Wait until the job has ended, and return it, whatever its status. TimeoutError after `timeout` seconds."""
        return list(self.follow(task_id, timeout=timeout))[-1]

    def send_call(self, call: Call[T]) -> T:
        """Send a call, with retries as the `RetryPolicy` says, and return its parsed answer."""
        attempts = RetryState(self._retry_policy, is_idempotent=call.is_idempotent)
        while True:
            try:
                return self._send_once(call)
            except (Problem, httpx.TransportError) as failure:
                delay_seconds = attempts.next_delay_seconds(failure, now=time.monotonic())
                if delay_seconds is None:
                    raise
            time.sleep(delay_seconds)

    def iterate_sequence(self, sequence: CallSequence[T]) -> Iterator[T]:
        """Send the calls of a sequence one after another, and yield its items."""
        while (call := sequence.next_call()) is not None:
            yield from sequence.process_answer(self.send_call(call))

    def iterate_events(self, subscription: Subscription) -> Iterator[Event]:
        """Yield the events of a subscription for ever. Lost connections are opened again as the `RetryPolicy` says."""
        return iterate_events(self._http, subscription, timeout=self._timeout, retry_policy=self._retry_policy)

    def _send_once(self, call: Call[T]) -> T:
        with call.answer_within(), call.open_request() as request:
            timeout = httpx.Timeout(self._timeout, read=self._timeout + call.server_wait_seconds)
            sent = self._http.build_request(**request, timeout=timeout)
            with raise_as_transport_error():
                answer = self._http.send(sent, stream=True, follow_redirects=call.follows_redirects)
            with closing(answer), call.open_receiver(answer) as receiver:
                for piece in answer.iter_bytes():
                    receiver.write(piece)
                return receiver.result()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient:
    """A client of one gateway, for one event loop. Close it, or use it as an asynchronous context manager.

    Files are read and written in small pieces on the event loop.
    """

    upload = _build_async_method(calls.upload)
    crop = _build_async_method(calls.crop)
    grayscale = _build_async_method(calls.grayscale)
    resize = _build_async_method(calls.resize)
    process = _build_async_method(calls.process)
    status = _build_async_method(calls.status)
    job_page = _build_async_method(calls.job_page)
    result = _build_async_method(calls.result)
    save_result = _build_async_method(calls.save_result)
    retry = _build_async_method(calls.retry)
    reprocess = _build_async_method(calls.reprocess)
    bulk = _build_async_method(bulk_calls.bulk)
    bulk_status = _build_async_method(bulk_calls.bulk_status)
    cancel_bulk = _build_async_method(bulk_calls.cancel_bulk)
    delete = _build_async_method(calls.delete)
    create_token = _build_async_method(calls.create_token)
    capabilities = _build_async_method(calls.capabilities)
    health = _build_async_method(calls.health)
    create_webhook = _build_async_method(webhook_calls.create_webhook)
    webhooks = _build_async_method(webhook_calls.webhooks)
    webhook = _build_async_method(webhook_calls.webhook)
    update_webhook = _build_async_method(webhook_calls.update_webhook)
    delete_webhook = _build_async_method(webhook_calls.delete_webhook)
    rotate_webhook_secret = _build_async_method(webhook_calls.rotate_webhook_secret)
    delivery_page = _build_async_method(webhook_calls.delivery_page)
    delivery = _build_async_method(webhook_calls.delivery)
    redeliver = _build_async_method(webhook_calls.redeliver)
    test_webhook = _build_async_method(webhook_calls.test_webhook)
    jobs = _build_async_iterator(pagination.jobs)
    deliveries = _build_async_iterator(pagination.deliveries)
    events = _build_async_event_iterator(event_stream.events)
    follow = _build_async_iterator(pagination.follow)

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float = 30.0,
        retry_policy: RetryPolicy | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Configure the client. No connection is made yet.

        `url` and `api_key` are by default DARKROOM_URL and DARKROOM_API_KEY; without either, the address is
        http://127.0.0.1:8001. `timeout` is in seconds, for each network operation: connect, send, receive. Raises
        httpx.InvalidURL.
        """
        self._retry_policy = retry_policy or RetryPolicy()
        self._timeout = timeout
        self._http = httpx.AsyncClient(**client_options(url, api_key), transport=transport)
        read_early_answers(self._http)

    async def wait_until_ended(self, task_id: str, *, timeout: float | None = None) -> JobStatus:  # noqa: ASYNC109
        """Wait until the job has ended, and return it if it has results.

        Raises `JobFailed`, `JobDead`, `JobCancelled` or `JobExpired` if it has none (all are `JobWithoutResult`), and
        TimeoutError after `timeout` seconds. Without a `timeout`, it waits for ever.
        """
        return ensure_result(await self.follow_to_end(task_id, timeout=timeout))

    async def follow_to_end(self, task_id: str, *, timeout: float | None = None) -> JobStatus:  # noqa: ASYNC109
        """Wait until the job has ended, and return it, whatever its status. TimeoutError after `timeout` seconds."""
        return [job async for job in self.follow(task_id, timeout=timeout)][-1]

    async def send_call(self, call: Call[T]) -> T:
        """Send a call, with retries as the `RetryPolicy` says, and return its parsed answer."""
        attempts = RetryState(self._retry_policy, is_idempotent=call.is_idempotent)
        while True:
            try:
                return await self._send_once(call)
            except (Problem, httpx.TransportError) as failure:
                delay_seconds = attempts.next_delay_seconds(failure, now=time.monotonic())
                if delay_seconds is None:
                    raise
            await asyncio.sleep(delay_seconds)

    async def iterate_sequence(self, sequence: CallSequence[T]) -> AsyncIterator[T]:
        """Send the calls of a sequence one after another, and yield its items."""
        while (call := sequence.next_call()) is not None:
            for item in sequence.process_answer(await self.send_call(call)):
                yield item

    def iterate_events(self, subscription: Subscription) -> AsyncIterator[Event]:
        """Yield the events of a subscription for ever. Lost connections are opened again as the `RetryPolicy` says."""
        return iterate_events_async(self._http, subscription, timeout=self._timeout, retry_policy=self._retry_policy)

    async def _send_once(self, call: Call[T]) -> T:
        with call.answer_within(), call.open_request() as request:
            timeout = httpx.Timeout(self._timeout, read=self._timeout + call.server_wait_seconds)
            sent = self._http.build_request(**request, timeout=timeout)
            with raise_as_transport_error():
                answer = await self._http.send(sent, stream=True, follow_redirects=call.follows_redirects)
            async with aclosing(answer):
                with call.open_receiver(answer) as receiver:
                    async for piece in answer.aiter_bytes():
                        receiver.write(piece)
                    return receiver.result()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
