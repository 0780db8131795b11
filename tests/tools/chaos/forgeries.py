"""Messages that no canvas sends, as Redis keeps them: unreadable, or with a wrong task, job or header."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from uuid import uuid4

NO_JOB = "01900000-0000-7000-8000-000000000000"


def forge_messages(queue: str, *, job_id: str) -> dict[str, str]:
    """Return forged messages for a queue by what is wrong with them. Some name this job, which must not suffer."""
    valid = json.loads(_message(queue, "validate", [job_id]))
    return {
        "not JSON": "{not JSON",
        "not UTF-8 in base64": json.dumps(valid | {"body": "gICAgA=="}),
        "no message": "42",
        "an empty message": "{}",
        "no properties": json.dumps({name: part for name, part in valid.items() if name != "properties"}),
        "no body": json.dumps({name: part for name, part in valid.items() if name != "body"}),
        "a body that is not base64": json.dumps(valid | {"body": "*"}),
        "an unknown content type": json.dumps(valid | {"content-type": "application/x-python-serialize"}),
        "an unknown encoding": json.dumps(valid | {"content-encoding": "utf-99"}),
        "headers that are a list": json.dumps(valid | {"headers": []}),
        "no headers": json.dumps(valid | {"headers": {}}),
        "an unknown task": _message(queue, "os.system", ["true"]),
        "no arguments": _message(queue, "validate", []),
        "too many arguments": _message(queue, "validate", [job_id, "small", "medium"]),
        "a job id that is a map": _message(queue, "validate", [{"$gt": ""}]),
        "a job id that is a path": _message(queue, "normalize", ["../../etc/passwd"]),
        "an empty job id": _message(queue, "normalize", [""]),
        "an unknown job": _message(queue, "finalize", [NO_JOB]),
        "an unknown rendition": _message(queue, "resize", [job_id, "colossal"]),
        "a rendition with a name for Mongo": _message(queue, "resize", [job_id, "$where.state"]),
        "a stage of another kind of job": _message(queue, "transform", [job_id]),
        "a wrong ETA": _message(queue, "validate", [job_id], eta="tomorrow"),
        "a wrong expiry": _message(queue, "validate", [job_id], expires="yesterday"),
        "wrong time limits": _message(queue, "validate", [job_id], timelimit="ever"),
        "wrong retries": _message(queue, "validate", [job_id], retries="many"),
        "a wrong id": _message(queue, "validate", [job_id], id=None),
        "a wrong chord": _message(queue, "validate", [NO_JOB], group=7),
    }


def forge_unacknowledged(queue: str, *, job_id: str) -> dict[str, str]:
    """Return forged entries of `unacked`, as kombu keeps what a worker has taken, by what is wrong with them."""
    messages = forge_messages(queue, job_id=job_id)
    readable = {name: json.loads(text) for name, text in messages.items() if name != "not JSON"}
    return {name: json.dumps([message, "", queue]) for name, message in readable.items()} | {
        "an entry that is not JSON": "[not JSON",
        "an entry without a queue": json.dumps([{}]),
        "an entry that is a map": json.dumps({"message": {}}),
        "an entry whose message is a text": json.dumps([messages["an empty message"], "", queue]),
    }


def _message(queue: str, task: str, arguments: list[object], **headers: object) -> str:
    body = json.dumps([arguments, {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
    identity = str(uuid4())
    usual: Mapping[str, object] = {"lang": "py", "task": task, "id": identity, "root_id": identity, "retries": 0}
    return json.dumps(
        {
            "body": b64encode(body.encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {**usual, "argsrepr": repr(arguments), "kwargsrepr": "{}", **headers},
            "properties": {
                "correlation_id": identity,
                "reply_to": identity,
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": queue},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": str(uuid4()),
            },
        }
    )
