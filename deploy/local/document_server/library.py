"""Runs a request in the library: all that has no shortcut."""

from __future__ import annotations

import logging
from typing import Any

import bson
from nx_27017.handler import NeoSQLiteHandler
from nx_27017.utils import convert_neo_to_bson_objectids
from nx_27017.wire_protocol import OP_MSG, OP_QUERY, ResponseBuilder

from deploy.local.document_server import wire
from deploy.local.document_server.wire import Request

log = logging.getLogger(__name__)


def run_in_library(handler: NeoSQLiteHandler, request: Request, connection_id: str) -> bytes:
    """Return the message that answers the request. Errors are replies too."""
    try:
        if request.opcode == wire.OP_QUERY:  # the handshake of a driver
            _, documents = handler.handle_query(OP_QUERY.parse(request.content) | {"_conn_id": connection_id})
            return bytes(ResponseBuilder.build_reply(0, request.message_id, documents))
        document = bson.encode(_run(handler, request.content, connection_id))
    except Exception as error:
        log.exception("a command failed")
        document = bson.encode({"ok": 0, "errmsg": str(error)})
    return wire.encode_reply(document, request.message_id)


def _run(handler: NeoSQLiteHandler, content: bytes, connection_id: str) -> dict[str, Any]:
    message = OP_MSG.parse(content) | {"_conn_id": connection_id}
    is_insert = any("insert" in section for kind, section in message["sections"] if kind == "body")
    has_documents = any(kind == "payload_docs" for kind, _ in message["sections"])
    run = handler.handle_insert if is_insert or has_documents else handler.handle_command
    _, document = run(message)
    converted: dict[str, Any] = convert_neo_to_bson_objectids(document)
    return converted
