"""Addresses on the command line: what is one, what is sent of it, and what is shown and written down."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from gateway.cli.addresses import parse_source
from gateway.cli.photos import PhotoSet, UploadRequest

SIGNED = "https://photos.example/2026//a.jpg?signature=secret&next=http://b#part"
REQUEST = UploadRequest(name="upload", fields={"format": "webp"}, url="http://darkroom")


@pytest.mark.parametrize("text", [SIGNED, "HTTP://photos.example", "s3://bucket/a b.jpg", "gs://b/a", "az://b/a"])
def test_an_address_is_taken_as_it_is(text: str) -> None:
    assert parse_source(text) == text


@pytest.mark.parametrize("text", ["a.jpg", "-", "./https://a", "https:/a.jpg", "ftp://a/b.jpg", "photos/s3://a"])
def test_anything_else_is_a_path(text: str) -> None:
    assert parse_source(text) == Path(text)


@pytest.mark.parametrize(
    ("address", "field"),
    [(SIGNED, "source_url"), ("s3://bucket/a?b#c.jpg", "source_key"), ("gs://b/a", "source_key")],
)
def test_an_address_is_sent_whole_in_its_field(address: str, field: str) -> None:
    with ExitStack() as resources:
        photo = PhotoSet(resources, None, warn=print).photo_from_address(address)

        call = REQUEST.build_call(photo, "a-key", lambda *_: None)

    assert call.form == {"format": "webp", field: address}
    assert (call.image, call.headers["Idempotency-Key"]) == (None, "a-key")


def test_the_query_of_an_address_is_neither_shown_nor_written_down(tmp_path: Path) -> None:
    with ExitStack() as resources:
        photos = PhotoSet(resources, tmp_path, warn=print)
        first, other = (photos.photo_from_address(f"{SIGNED}{end}") for end in ("", "?other"))
        first.journal.add(first.create_entry(REQUEST, "a-key"))

    assert first.display_name == "https://photos.example/2026//a.jpg"
    assert "secret" not in repr(first)
    assert not any("secret" in path.read_text() for path in tmp_path.iterdir())
    assert first.file != other.file
