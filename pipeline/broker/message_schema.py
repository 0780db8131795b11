"""What a worker takes of a message: all fields that kombu, Celery or a task reads. Others, of newer versions, are kept.

kombu and Celery raise errors of any kind for other messages. These end the worker, and the message ends the next one.
"""

from __future__ import annotations

from base64 import b64decode
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, Strict, TypeAdapter

from pipeline.routing import ERRBACK, RESIZE, ROUTES

MAX_BODY_BYTES = 4 * 1024 * 1024
"""The body of a canvas has 1 KB for each rendition."""
MAX_DELAY = timedelta(days=1)
"""A message that waits longer would be held by a worker and delivered again and again."""
ARGUMENTS = {RESIZE: 2, ERRBACK: 2}
"""How many arguments a task takes, where it takes more than one."""


def _check_time(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("it is no text")  # noqa: TRY004  # pydantic takes ValueErrors
    return value


def _check_eta(eta: datetime) -> datetime:
    if eta.replace(tzinfo=eta.tzinfo or UTC) > datetime.now(UTC) + MAX_DELAY:
        raise ValueError("it is too far in the future")
    return eta


def _check_task(name: str) -> str:
    if name not in ROUTES:
        raise ValueError("it is unknown")
    return name


Text = Annotated[str, Strict(), Field(max_length=1000)]
Id = Annotated[str, Strict(), Field(min_length=1, max_length=200)]
Time = Annotated[datetime, BeforeValidator(_check_time)]
Eta = Annotated[Time, AfterValidator(_check_eta)]
Delay = Annotated[int, Strict(), Field(ge=0, le=MAX_DELAY // timedelta(milliseconds=1))]
Limit = Annotated[float, Strict()] | Annotated[int, Strict()] | None


class _DeliveryInfo(BaseModel):
    exchange: Text
    routing_key: Text


class _Properties(BaseModel):
    delivery_tag: Id
    delivery_info: _DeliveryInfo
    body_encoding: Literal["base64", "utf-8"] | None = None


class _Envelope(BaseModel):
    """kombu's entry for a message in Redis."""

    properties: _Properties
    headers: dict[str, Any]
    body: Annotated[str, Strict()]


class _Headers(BaseModel):
    """Celery's headers of a task, and ours."""

    task: Annotated[Id, AfterValidator(_check_task)]
    id: Id
    root_id: Id | None = None
    parent_id: Id | None = None
    group: Id | None = None
    shadow: Id | None = None
    retries: Annotated[int, Strict(), Field(ge=0)] = 0
    timelimit: Annotated[list[Limit], Field(min_length=2, max_length=2)] | None = None
    eta: Eta | None = None
    delay_ms: Delay | None = None
    expires: Time | None = None
    stamped_headers: list[Text] | None = None
    stamps: dict[str, Any] | None = None
    request_id: Text | None = None
    job_trace: Text | None = None


class _Signature(BaseModel):
    task: Id
    args: list[Any] = []
    options: dict[str, Any] = {}


class _Embed(BaseModel):
    callbacks: list[_Signature] | None = None
    errbacks: list[_Signature] | None = None
    chain: list[_Signature] | None = None
    chord: _Signature | None = None


_BODY = TypeAdapter(tuple[list[Id], Annotated[dict[str, Any], Field(max_length=0)], _Embed])


def check_envelope(entry: object) -> None:
    """Raise ValueError unless kombu can take and acknowledge this entry of a queue in Redis."""
    envelope = _Envelope.model_validate(entry)
    if envelope.properties.body_encoding == "base64":
        b64decode(envelope.body)


def check_message(message: Any) -> None:
    """Raise an error unless a kombu message is one that this version's gateways and workers send.

    It is a ValueError, or one of kombu's while it decodes the message.
    """
    if (message.content_type, message.content_encoding) != ("application/json", "utf-8"):
        raise ValueError("the content type is not that of JSON")
    if len(message.body or b"") > MAX_BODY_BYTES:
        raise ValueError("the body is too large")
    headers = _Headers.model_validate(message.headers)
    arguments, _, _ = _BODY.validate_python(message.payload)
    if len(arguments) != ARGUMENTS.get(headers.task, 1):
        raise ValueError("the number of arguments is not that of the task")
