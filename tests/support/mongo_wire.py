"""MongoDB's wire protocol, as much of it as a proxy needs: commands in, replies out.

Source: MongoDB manual, "MongoDB Wire Protocol".
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

import bson

Document = dict[str, Any]
OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
HEADER = struct.Struct("<iiii")
"""Length of the message, its id, the id of the message it answers, and what it is."""


@dataclass(frozen=True, slots=True)
class WireMessage:
    """One message: a command, or the reply to one."""

    message_id: int
    opcode: int
    body: bytes
    content: bytes
    """The message as it was sent."""

    @property
    def name(self) -> str:
        """The command's name: the first field of its document."""
        start = _document_start(self) + 5  # after the document's length and the field's type
        return self.body[start : self.body.index(b"\0", start)].decode()

    def decode(self) -> Document:
        """Return the command or the reply, with the documents of its sequences in it."""
        if self.opcode != OP_MSG:
            return bson.decode(self.body[_document_start(self) :])
        document: Document = {}
        position = 4
        while position < len(self.body):
            kind, position = self.body[position], position + 1
            (length,) = struct.unpack_from("<i", self.body, position)
            section, position = self.body[position : position + length], position + length
            if kind == 0:
                document = bson.decode(section) | document
            else:
                end = section.index(b"\0", 4)
                document[section[4:end].decode()] = bson.decode_all(section[end + 1 :])
        return document


def read_message(stream: BinaryIO) -> WireMessage | None:
    """Return the next message, or None at the end of the stream."""
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    length, message_id, _, opcode = HEADER.unpack(header)
    body = stream.read(length - HEADER.size)
    return WireMessage(message_id, opcode, body, header + body) if len(body) == length - HEADER.size else None


class ServerConnection:
    """One connection to a server."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._replies = self._socket.makefile("rb")

    def run(self, command: Document) -> Document:
        """Have a command carried out; return its reply."""
        return self.forward(encode_command(command)).decode()

    def forward(self, content: bytes) -> WireMessage:
        """Send a message as it is; return the answer. Raises `ConnectionError` when there is none."""
        self.send(content)
        return self.receive()

    def send(self, content: bytes) -> None:
        """Send bytes as they are."""
        self._socket.sendall(content)

    def receive(self) -> WireMessage:
        """Return the next message of the server. Raises `ConnectionError` when there is none."""
        reply = read_message(self._replies)
        if reply is None:
            raise ConnectionResetError("the server has closed the connection")
        return reply

    def close(self) -> None:
        """Close the connection."""
        self._replies.close()
        self._socket.close()


def encode_command(document: Document) -> bytes:
    """Return a message with a command."""
    return _frame(b"\0\0\0\0\0" + bson.encode(document), OP_MSG, answers=0)


def encode_reply(command: WireMessage, document: Document) -> bytes:
    """Return the reply to a command."""
    if command.opcode == OP_QUERY:  # drivers begin with it: a server may be too old for OP_MSG
        return _frame(struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(document), OP_REPLY, answers=command.message_id)
    return _frame(b"\0\0\0\0\0" + bson.encode(document), OP_MSG, answers=command.message_id)


def _frame(body: bytes, opcode: int, *, answers: int) -> bytes:
    return HEADER.pack(HEADER.size + len(body), 1, answers, opcode) + body


def _document_start(message: WireMessage) -> int:
    """Return where the document of a message begins in its body."""
    match message.opcode:
        case int(n) if n == OP_MSG:
            return 5
        case int(n) if n == OP_QUERY:
            return message.body.index(b"\0", 4) + 9
        case _:
            return 20
