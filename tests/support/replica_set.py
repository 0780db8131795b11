"""A replica set of two, imitated in front of one server: elections, lost answers, writes that no majority has.

It does to commands what a primary does when it steps down, dies or is cut off, and like a primary it applies a write
that the driver repeats once. So what fails behind it is our own handling of errors.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any, Literal
from urllib.parse import urlsplit

from bson import ObjectId
from pymongo import MongoClient

from tests.support.mongo_wire import Document, ServerConnection, WireMessage, encode_reply, read_message

NAME = "rs0"
NOT_WRITABLE_PRIMARY, NO_SECONDARY_OK = 10107, 13435
OF_SESSIONS = ("lsid", "txnNumber", "$clusterTime", "$readPreference", "readConcern", "writeConcern")
"""Fields that the imitation answers for: the server behind is alone."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one command."""

    answer: Literal["error", "concern", "none", "late"]
    """An error; a result with a `writeConcernError`; no answer; or one after the driver has given up."""
    applies: bool
    """Whether the primary applies the command."""
    code: int = 0
    is_retryable: bool = True
    """Whether the answer has the label RetryableWriteError."""
    elects: bool = False
    """Whether the other member is the primary from then on."""
    rolls_back: bool = False
    """Whether the new primary never had the write."""


@dataclass(frozen=True, slots=True)
class Target:
    """The commands that faults happen to."""

    command: str
    collection: str


class Member(ThreadingTCPServer):
    """One of the two, on a port of its own."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, replica_set: ReplicaSet) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.replica_set = replica_set
        self.name = f"127.0.0.1:{self.server_address[1]}"


class ReplicaSet:
    """The members, which of them is the primary, and the faults to come."""

    def __init__(self, mongo_url: str) -> None:
        parts = urlsplit(mongo_url)
        self.server = (parts.hostname or "127.0.0.1", parts.port or 27017)
        self.members = [Member(self), Member(self)]
        self.primary = self.members[0]
        self.url = f"mongodb://{','.join(each.name for each in self.members)}{parts.path}?replicaSet={NAME}"
        self.url += "&readPreference=secondaryPreferred&w=1"  # which must not count
        self.reads_for_secondary = 0
        self.hit: list[Document] = []
        self._documents: MongoClient[Document] = MongoClient(mongo_url)
        self._election = ObjectId()
        self.faults: deque[Fault] = deque()
        self._target: Target | None = None
        self._applied: dict[tuple[bytes, int], Document] = {}
        self._lock = threading.Lock()

    def inject(self, target: Target, *faults: Fault) -> None:
        """Have the faults happen to the next commands of that kind, one each."""
        self._target, self.faults, self.hit = target, deque(faults), []

    def elect(self) -> None:
        """Have the other member become the primary."""
        self.primary = next(each for each in self.members if each is not self.primary)
        self._election = ObjectId()

    def hello(self, member: Member) -> Document:
        """Return what a member answers to `hello`."""
        is_primary = member is self.primary
        return {
            "isWritablePrimary": is_primary,
            "ismaster": is_primary,
            "secondary": not is_primary,
            "helloOk": True,
            "setName": NAME,
            "setVersion": 1,
            "hosts": [each.name for each in self.members],
            "primary": self.primary.name,
            "me": member.name,
            **({"electionId": self._election} if is_primary else {}),
            "maxBsonObjectSize": 16_777_216,
            "maxMessageSizeBytes": 48_000_000,
            "maxWriteBatchSize": 100_000,
            "localTime": datetime.now(UTC),
            "logicalSessionTimeoutMinutes": 30,
            "minWireVersion": 0,
            "maxWireVersion": 21,
            "ok": 1.0,
        }

    def take_fault(self, name: str, command: Document) -> Fault | None:
        """Return what is to happen to a command."""
        with self._lock:
            if not self.faults or self._target != Target(name, str(command[name])):
                return None
            self.hit.append(dict(command))
            return self.faults.popleft()

    def apply(self, name: str, command: Document, upstream: ServerConnection, fault: Fault | None) -> Document:
        """Have the server carry out a command, unless it is the repetition of one that it has carried out."""
        lsid, number = command.pop("lsid", None), command.pop("txnNumber", None)
        key = (lsid["id"], number) if number is not None else None
        plain = {field: value for field, value in command.items() if field not in OF_SESSIONS}
        if key in self._applied:
            return self._applied[key]
        before = self._read(name, plain) if fault and fault.rolls_back else None
        reply = upstream.run(plain)
        if fault and fault.rolls_back:
            self._restore(name, plain, before)
        elif key is not None:
            self._applied[key] = reply
        return reply

    def _read(self, name: str, command: Document) -> Document | None:
        return self._documents[command["$db"]][command[name]].find_one({"_id": _id_of(name, command)})

    def _restore(self, name: str, command: Document, before: Document | None) -> None:
        collection, key = self._documents[command["$db"]][command[name]], {"_id": _id_of(name, command)}
        if before is None:
            collection.delete_one(key)
        else:
            collection.replace_one(key, before, upsert=True)

    def close(self) -> None:
        """Close what the set has opened."""
        self._documents.close()


class _Connection(StreamRequestHandler):
    """A driver's connection to one member."""

    server: Member

    def handle(self) -> None:
        upstream = ServerConnection(self.server.replica_set.server)
        try:
            while (message := read_message(self.rfile)) is not None:  # type: ignore[arg-type]
                reply = self._answer(message, upstream)
                if reply is None:
                    return
                self.wfile.write(encode_reply(message, reply))
        except ConnectionError:
            pass
        finally:
            upstream.close()

    def _answer(self, message: WireMessage, upstream: ServerConnection) -> Document | None:
        """Return the answer; None for none, and the end of the connection."""
        replica_set, name = self.server.replica_set, message.name
        if name.lower() in {"hello", "ismaster"}:
            return replica_set.hello(self.server)
        if name == "endSessions":
            return {"ok": 1.0}
        command = message.decode()
        if self.server is replica_set.primary:
            return self._answer_as_primary(name, command, upstream)
        replica_set.reads_for_secondary += command.get("$readPreference", {}).get("mode", "primary") != "primary"
        return _error(NO_SECONDARY_OK if name in {"find", "aggregate", "count"} else NOT_WRITABLE_PRIMARY)

    def _answer_as_primary(self, name: str, command: Document, upstream: ServerConnection) -> Document | None:
        replica_set = self.server.replica_set
        fault = replica_set.take_fault(name, command)
        reply = replica_set.apply(name, command, upstream, fault) if fault is None or fault.applies else {}
        if fault is None:
            return reply
        if fault.elects:
            replica_set.elect()
        if fault.answer == "error":
            return _error(fault.code)
        if fault.answer == "concern":
            labels = {"errorLabels": ["RetryableWriteError"]} if fault.is_retryable else {}
            return reply | {"writeConcernError": {"code": fault.code, "errmsg": "imitated"}} | labels
        if fault.answer == "late":
            with suppress(ConnectionError):
                self.rfile.read(1)  # ends when the driver gives up
        return None


def _error(code: int) -> Document:
    return {"ok": 0.0, "code": code, "errmsg": "imitated", "errorLabels": ["RetryableWriteError"]}


def _id_of(name: str, command: Document) -> Any:
    """Return the id of the document that a command writes."""
    match name:
        case "insert":
            return command["documents"][0]["_id"]
        case "update":
            return command["updates"][0]["q"]["_id"]
        case _:
            return command["query"]["_id"]


@contextmanager
def run_replica_set(mongo_url: str) -> Iterator[ReplicaSet]:
    """Put a replica set in front of a server."""
    replica_set = ReplicaSet(mongo_url)
    with ExitStack() as stack:
        stack.callback(replica_set.close)
        for member in replica_set.members:
            stack.enter_context(member)
            thread = threading.Thread(target=member.serve_forever, kwargs={"poll_interval": 0.02})
            stack.callback(thread.join)
            stack.callback(member.shutdown)
            thread.start()
        yield replica_set
