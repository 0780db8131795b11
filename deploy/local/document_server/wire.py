"""MongoDB's wire protocol: the commands in its messages, and replies.

Source: MongoDB manual, "MongoDB Wire Protocol".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import bson
from bson.errors import BSONError

HEADER = struct.Struct("<iiii")
"""Length of the message, its id, the id of the message that it answers, and its opcode."""
OP_QUERY, OP_MSG = 2004, 2013
_INT = struct.Struct("<i")
_REPLY = struct.Struct("<iiiiIB")
_FLAGS, _BODY = 16, 20
_DOCUMENT, _SEQUENCE = 0, 1
_reply_ids = count(1)


@dataclass(slots=True)
class Request:
    """One message of a client."""

    content: bytes
    """The whole message."""
    message_id: int = field(init=False)
    opcode: int = field(init=False)
    command: dict[str, Any] = field(init=False)
    """The command, with the documents of its sequences in it; empty when only the library can read the message."""
    name: str = field(init=False)
    """Name of the command; empty when there is none."""

    def __post_init__(self) -> None:
        _, self.message_id, _, self.opcode = HEADER.unpack_from(self.content)
        self.command = _read_command(self.content) if self.opcode == OP_MSG else {}
        self.name = next(iter(self.command), "")


def _read_command(content: bytes) -> dict[str, Any]:
    try:
        if _INT.unpack_from(content, _FLAGS)[0] or content[_BODY] != _DOCUMENT:
            return {}
        start = _BODY + 1
        position = start + _INT.unpack_from(content, start)[0]
        command: dict[str, Any] = bson.decode(content[start:position])
        while position < len(content):
            if content[position] != _SEQUENCE:
                return {}
            start = position + 1
            position = start + _INT.unpack_from(content, start)[0]
            end = content.index(0, start + _INT.size)
            if position <= end:  # its length is too small, or negative: it would be read for ever
                return {}
            name = content[start + _INT.size : end].decode()
            command[name] = bson.decode_all(content[end + 1 : position])
    except (BSONError, ValueError, IndexError, struct.error):
        return {}
    return command


def encode_reply(document: bytes, message_id: int) -> bytes:
    """Return the message that answers another one with a BSON document."""
    length = _REPLY.size + len(document)
    return _REPLY.pack(length, next(_reply_ids), message_id, OP_MSG, 0, _DOCUMENT) + document
