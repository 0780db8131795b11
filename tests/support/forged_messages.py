"""Messages that no gateway of this version sends: damaged, of another version, or of an enemy.

Each must be dropped by the worker that takes it: it neither ends the worker nor stays unacknowledged nor comes again.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

import amqp

from pipeline.celery import QUEUED_HEADER
from pipeline.routing import VALIDATE

Json = dict[str, Any]
NO_JOB = "019392f0-7c1e-7d4a-b4d8-0f5e2c9a1b77"


def _body(args: object = (NO_JOB,), kwargs: object = None, embed: object = None) -> bytes:
    none = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    return json.dumps([args, {} if kwargs is None else kwargs, none if embed is None else embed]).encode()


def _headers(**changes: object) -> Json:
    message_id = str(uuid4())
    headers: Json = {
        "lang": "py",
        "task": VALIDATE,
        "id": message_id,
        "root_id": NO_JOB,
        "parent_id": None,
        "group": None,
        "retries": 0,
        "timelimit": [None, None],
        "eta": None,
        "expires": None,
        "ignore_result": True,
        QUEUED_HEADER: 0,
    }
    return {name: value for name, value in (headers | changes).items() if value is not ...}


@dataclass(frozen=True)
class ForgedMessage:
    """A message as a broker of any kind carries it."""

    body: bytes = field(default_factory=_body)
    headers: Json = field(default_factory=_headers)
    content_type: str | None = "application/json"
    content_encoding: str | None = "utf-8"

    def to_redis(self, **properties: object) -> bytes:
        """Return what kombu would put into the list of a queue; `properties` are changed ones."""
        tag = str(uuid4())
        return json.dumps(
            {
                "body": base64.b64encode(self.body).decode(),
                "content-type": self.content_type,
                "content-encoding": self.content_encoding,
                "headers": self.headers,
                "properties": {
                    "correlation_id": tag,
                    "delivery_mode": 2,
                    "delivery_info": {"exchange": "", "routing_key": VALIDATE},
                    "priority": 0,
                    "body_encoding": "base64",
                    "delivery_tag": tag,
                }
                | properties,
            }
        ).encode()

    def to_rabbitmq(self) -> amqp.Message:
        """Return the message for py-amqp."""
        properties = {"content_type": self.content_type, "content_encoding": self.content_encoding}
        present = {name: value for name, value in properties.items() if value is not None}
        return amqp.Message(self.body, application_headers=self.headers, **present)


def _with_headers(**changes: object) -> ForgedMessage:
    return ForgedMessage(headers=_headers(**changes))


MESSAGES: dict[str, ForgedMessage] = {
    "a task of a newer version": _with_headers(task="watermark"),
    "no task": _with_headers(task=...),
    "a task that is a number": _with_headers(task=5),
    "a task that is a list": _with_headers(task=[VALIDATE]),
    "no headers": ForgedMessage(headers={}),
    "no id": _with_headers(id=...),
    "an id that is a number": _with_headers(id=5),
    "an id that is a list": _with_headers(id=["a"]),
    "a root that is a number": _with_headers(root_id=5),
    "a shadow that is a list": _with_headers(shadow=["a"]),
    "a time limit that is a text": _with_headers(timelimit="soon"),
    "a time limit of texts": _with_headers(timelimit=["soon", "later"]),
    "a time limit of one number": _with_headers(timelimit=[5]),
    "an eta that is no time": _with_headers(eta="tomorrow"),
    "an eta that is a number": _with_headers(eta=5),
    "an eta beyond all times": _with_headers(eta="9999-12-31T23:59:59.999999+00:00"),
    "a delay that is a text": _with_headers(eta="2000-01-01T00:00:00+00:00", delay_ms="soon"),
    "a delay beyond all times": _with_headers(eta="2000-01-01T00:00:00+00:00", delay_ms=10**18),
    "a delay of years": _with_headers(eta="2000-01-01T00:00:00+00:00", delay_ms=10**11),
    "a delay before all times": _with_headers(eta="2000-01-01T00:00:00+00:00", delay_ms=-(10**18)),
    "an end that is no time": _with_headers(expires="tomorrow"),
    "an end that has passed": _with_headers(expires="2000-01-01T00:00:00+00:00"),
    "retries that are a text": _with_headers(retries="many"),
    "stamps that are a text": _with_headers(stamped_headers="all", stamps="none"),
    "a group that is a number": _with_headers(group=5),
    "an unknown compression": _with_headers(compression="application/x-secret"),
    "a compression that is none": _with_headers(compression="application/x-gzip"),
    "a request id that is a list": _with_headers(request_id=["a"]),
    "a trace that is a number": _with_headers(job_trace=5),
    "pickle": ForgedMessage(
        b"\x80\x04K\x01.", content_type="application/x-python-serialize", content_encoding="binary"
    ),
    "an unknown content type": ForgedMessage(content_type="application/x-unknown"),
    "no content type": ForgedMessage(content_type=None),
    "an unknown encoding": ForgedMessage(content_encoding="klingon"),
    "no encoding": ForgedMessage(content_encoding=None),
    "an empty body": ForgedMessage(b""),
    "a body that is no JSON": ForgedMessage(b"{"),
    "a binary body": ForgedMessage(b"\xff\xfe\x00\x01"),
    "a body that is null": ForgedMessage(b"null"),
    "a body that is a number": ForgedMessage(b"5"),
    "a body that is a text": ForgedMessage(b'"abc"'),
    "a body that is an object": ForgedMessage(b'{"args": 5, "kwargs": [], "task": "validate"}'),
    "a body of protocol 1": ForgedMessage(
        json.dumps({"task": VALIDATE, "id": "1", "args": [NO_JOB], "kwargs": {}}).encode(), headers={}
    ),
    "a body of two parts": ForgedMessage(b"[[], {}]"),
    "a body of four parts": ForgedMessage(b"[[], {}, {}, {}]"),
    "a body nested too deeply": ForgedMessage(b"[" * 100_000 + b"]" * 100_000),
    "arguments that are a text": ForgedMessage(_body("abc")),
    "no arguments": ForgedMessage(_body([])),
    "too many arguments": ForgedMessage(_body([NO_JOB, "small", "large"])),
    "an argument that is a number": ForgedMessage(_body([5])),
    "an argument that is an object": ForgedMessage(_body([{"$gt": ""}])),
    "an argument that no database takes": ForgedMessage(b'[["\\ud800"], {}, {}]'),
    "keyword arguments that are a list": ForgedMessage(_body(kwargs=[1])),
    "unknown keyword arguments": ForgedMessage(_body(kwargs={"lane": "express"})),
    "a chain that is a number": ForgedMessage(_body(embed={"chain": [5]})),
    "a chain of an unknown task": ForgedMessage(_body(embed={"chain": [{"task": "x", "args": [], "options": {}}]})),
    "a chord that is a text": ForgedMessage(_body(embed={"chord": "x"})),
    "callbacks that are a text": ForgedMessage(_body(embed={"callbacks": "x", "errbacks": "y"})),
    "an embed that is a text": ForgedMessage(_body(embed="x")),
    "a resize without a rendition": ForgedMessage(headers=_headers(task="resize")),
    "a resize to a path of the document": ForgedMessage(_body([NO_JOB, "a.$[b]"]), _headers(task="resize")),
    "an errback of one argument": ForgedMessage(headers=_headers(task="on_failed")),
    "a huge body": ForgedMessage(_body(["x" * 6_000_000])),
}
"""Messages that any broker can carry, by what is wrong with them."""
READABLE = frozenset({"an end that has passed", "a chain of an unknown task", "a resize to a path of the document"})
"""Those that a worker can read: it ignores them, for their job does not exist."""


def _envelope(**changes: object) -> bytes:
    envelope = json.loads(ForgedMessage().to_redis()) | changes
    return json.dumps({name: value for name, value in envelope.items() if value is not ...}).encode()


_GOOD = ForgedMessage()
IN_REDIS: dict[str, bytes] = {
    "nothing": b"",
    "a text": b"hello",
    "binary": bytes(range(256)),
    "half a message": _GOOD.to_redis()[:200],
    "a number": b"5",
    "null": b"null",
    "a list": b"[]",
    "an empty object": b"{}",
    "objects nested too deeply": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "no properties": _envelope(properties=...),
    "properties that are a list": _envelope(properties=[]),
    "no body": _envelope(body=...),
    "a body that is an object": _envelope(body={"a": 1}),
    "headers that are a text": _envelope(headers="x"),
    "headers that are null": _envelope(headers=None),
    "a content type that is a number": _envelope(**{"content-type": 5}),
    "a content type that is a list": _envelope(**{"content-type": [5]}),
    "no delivery tag": _GOOD.to_redis(delivery_tag=None),
    "a delivery tag that is a number": _GOOD.to_redis(delivery_tag=5),
    "a delivery tag that is a list": _GOOD.to_redis(delivery_tag=["a"]),
    "no delivery info": _GOOD.to_redis(delivery_info=None),
    "delivery info that is a text": _GOOD.to_redis(delivery_info="x"),
    "delivery info without a key": _GOOD.to_redis(delivery_info={}),
    "a body encoding that is unknown": _GOOD.to_redis(body_encoding="rot13"),
    "a body encoding that is a number": _GOOD.to_redis(body_encoding=5),
    "a body that is no base64": _envelope(body="abc"),
} | {name: message.to_redis() for name, message in MESSAGES.items()}
"""What may lie in the list of a queue, by what is wrong with it."""

IN_UNACKED: dict[str, bytes] = {
    "nothing": b"",
    "a text": b"hello",
    "binary": bytes(range(256)),
    "null": b"null",
    "a list of one": b"[1]",
    "an empty object": b"{}",
    "a message that is a text": b'["x", "", "validate"]',
    "a message without a queue": json.dumps([json.loads(_GOOD.to_redis()), None, None]).encode(),
    "an unreadable message": json.dumps([{"a": 1}, "", VALIDATE]).encode(),
}
"""What may lie in kombu's hash of unacknowledged messages."""


def mark_sent(message: ForgedMessage, sent_ms: object) -> ForgedMessage:
    """Return the message as one that was sent at a time (epoch ms)."""
    return replace(message, headers=message.headers | {QUEUED_HEADER: sent_ms})
