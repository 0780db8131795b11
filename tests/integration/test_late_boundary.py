"""A client that sends its file at once and the end of its form byte by byte: refused long before its blob is swept."""

from __future__ import annotations

import json
import select
import socket
import time
from pathlib import Path

from deploy.local.stack import Stack
from tests.integration.front_servers import run_nginx
from tests.integration.lone_gateway import run_lone_gateway
from tests.integration.raw_http import build_head, form, open_socket, part, read_response
from tests.support.images import encode_image, photo

FORM = form(part("file", encode_image(photo(400, 300), "jpeg"), b"photo.jpg"), part("format", b"x" * 1000))
END = FORM.index(b"xxx")
ORPHAN_GRACE = 4.0


def drip(wires: list[socket.socket]) -> None:
    """Send a byte at a time to each server that has not answered yet, until all have."""
    waiting, piece = list(wires), iter(FORM[END:-10])
    while waiting:
        byte = bytes([next(piece)])
        for wire in waiting:
            wire.sendall(byte)
        answered, _, _ = select.select(waiting, [], [], 0.05)
        waiting = [wire for wire in waiting if wire not in answered]


def test_a_form_that_does_not_end_in_time_is_refused_by_whatever_way_it_comes(
    redis_and_mongo: Stack, tmp_path: Path
) -> None:
    folder = tmp_path / "front"
    folder.mkdir()
    with (
        run_lone_gateway(redis_and_mongo, tmp_path, DARKROOM_SWEEPER__ORPHAN_GRACE=str(ORPHAN_GRACE)) as gateway,
        run_nginx(gateway.url, folder) as front,
        open_socket(gateway.url) as direct,
        open_socket(gateway.url) as pipelined,
        open_socket(front.url) as through_nginx,
    ):
        head = build_head(gateway.url, "/upload", Content_Length=len(FORM)) + FORM[:END]
        start = time.monotonic()
        direct.sendall(head)
        pipelined.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" + head)
        through_nginx.sendall(build_head(front.url, "/api/upload", Content_Length=len(FORM)) + FORM[:END])
        first, _ = read_response(pipelined)
        drip([direct, pipelined, through_nginx])
        seconds = time.monotonic() - start
        answers = [read_response(wire) for wire in (direct, pipelined, through_nginx)]

        assert seconds >= ORPHAN_GRACE / 2
        assert first.status == 200
        assert [(answer.status, json.loads(body)["code"]) for answer, body in answers] == [(408, "body_timeout")] * 3
        assert not list(gateway.blob_folder.iterdir())
