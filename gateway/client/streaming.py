"""Reads the streams of a subscription, one after another, for as long as there is no error that stays."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, closing

import httpx

from .connection import raise_as_transport_error
from .event_stream import Subscription
from .problem import Problem
from .retry import CallError, RetryPolicy
from .webhook_models import Event


def iterate_events(
    http: httpx.Client, subscription: Subscription, *, timeout: float, retry_policy: RetryPolicy
) -> Iterator[Event]:
    """Yield the events of a subscription for ever. Raises the error of a stream once the retry policy gives up."""
    while True:
        failure: CallError | None = None
        try:
            yield from _receive(http, subscription, timeout)
        except (Problem, httpx.TransportError) as error:
            failure = error
        delay_seconds = subscription.next_delay_seconds(failure, retry_policy, now=time.monotonic())
        if delay_seconds is None:
            raise failure or AssertionError("a stream that has ended is opened again")
        time.sleep(delay_seconds)


async def iterate_events_async(
    http: httpx.AsyncClient,
    subscription: Subscription,
    *,
    timeout: float,  # noqa: ASYNC109  # of httpx
    retry_policy: RetryPolicy,
) -> AsyncIterator[Event]:
    """Yield the events of a subscription for ever. Raises the error of a stream once the retry policy gives up."""
    while True:
        failure: CallError | None = None
        try:
            async with aclosing(_receive_async(http, subscription, timeout)) as events:
                async for event in events:
                    yield event
        except (Problem, httpx.TransportError) as error:
            failure = error
        delay_seconds = subscription.next_delay_seconds(failure, retry_policy, now=time.monotonic())
        if delay_seconds is None:
            raise failure or AssertionError("a stream that has ended is opened again")
        await asyncio.sleep(delay_seconds)


def _receive(http: httpx.Client, subscription: Subscription, timeout: float) -> Iterator[Event]:
    """Yield the events of one stream, until it ends. No time bounds all of it, only its silence."""
    call = subscription.next_call()
    with call.open_request() as request:
        limits = httpx.Timeout(timeout, read=timeout + call.server_wait_seconds)
        sent = http.build_request(**request, timeout=limits)
        with raise_as_transport_error():
            answer = http.send(sent, stream=True, follow_redirects=call.follows_redirects)
        with closing(answer), call.open_receiver(answer) as receiver:
            for piece in answer.iter_bytes():
                receiver.write(piece)
                yield from subscription.take_events()
            receiver.result()


async def _receive_async(
    http: httpx.AsyncClient,
    subscription: Subscription,
    timeout: float,  # noqa: ASYNC109  # of httpx
) -> AsyncGenerator[Event, None]:
    """Do the same as `_receive`."""
    call = subscription.next_call()
    with call.open_request() as request:
        limits = httpx.Timeout(timeout, read=timeout + call.server_wait_seconds)
        sent = http.build_request(**request, timeout=limits)
        with raise_as_transport_error():
            answer = await http.send(sent, stream=True, follow_redirects=call.follows_redirects)
        async with aclosing(answer):
            with call.open_receiver(answer) as receiver:
                async for piece in answer.aiter_bytes():
                    receiver.write(piece)
                    for event in subscription.take_events():
                        yield event
                receiver.result()
