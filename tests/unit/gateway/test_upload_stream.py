"""The upload stream: what it stores of a form, and what it refuses."""

from __future__ import annotations

import struct
from base64 import b64encode
from hashlib import sha256

import pytest

from gateway.problems import (
    BodyTooLarge,
    DigestMismatch,
    FileMissing,
    InvalidForm,
    InvalidHeader,
    MalformedForm,
    TooManyFiles,
)
from gateway.submission.multipart import MAX_FIELD_BYTES
from gateway.submission.upload_stream import store_upload
from stages.errors import EmptyFile, ImageTooLarge, UnsupportedFormat
from stages.limits import Limits
from storage.blobs import Blobs
from storage.documents import Original
from tests.support.fakes import FORM_TYPE, FakeRequest, form, part

KEY = "job/original"
LIMITS = Limits(upload_bytes=100_000, side=5000)
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 300


@pytest.fixture
def blobs() -> Blobs:
    return Blobs.open("memory:///")


def png(width: int, height: int) -> bytes:
    """Return the beginning of a PNG of this size."""
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", width, height, 8, 2, 0, 0, 0) + bytes(100)


def chunked(body: bytes, size: int = 1000) -> list[bytes]:
    return [body[i : i + size] for i in range(0, len(body), size)]


async def upload(blobs: Blobs, *parts: bytes, chunk: int = 1000) -> tuple[Original | None, dict[str, str]]:
    return await store_upload(FakeRequest(chunked(form(*parts), chunk)), blobs, key=KEY, limits=LIMITS)


async def original_of(blobs: Blobs, *parts: bytes) -> Original:
    original, _ = await upload(blobs, *parts)
    assert original is not None
    return original


def image(content: bytes = JPEG, *, filename: str = "cat.jpg") -> bytes:
    return part("file", content, filename=filename)


@pytest.mark.parametrize("chunk", [1, 63, 64, 65, 1000, 1_000_000])
async def test_the_file_is_stored_unchanged(blobs: Blobs, chunk: int) -> None:
    content = JPEG[:200]

    await upload(blobs, image(content), chunk=chunk)

    assert blobs.get(KEY) == content


async def test_a_file_shorter_than_a_head_is_stored(blobs: Blobs) -> None:
    await upload(blobs, image(JPEG[:4]))

    assert blobs.get(KEY) == JPEG[:4]


async def test_the_file_is_counted(blobs: Blobs) -> None:
    original = await original_of(blobs, image())

    assert original.bytes == len(JPEG)


async def test_the_file_is_hashed(blobs: Blobs) -> None:
    original = await original_of(blobs, image())

    assert original.sha256 == sha256(JPEG).hexdigest()


async def test_the_media_type_follows_from_the_content(blobs: Blobs) -> None:
    original = await original_of(blobs, image(png(10, 10), filename="lies.gif"))

    assert original.media_type == "image/png"


@pytest.mark.parametrize(
    ("filename", "name"), [("cat.jpg", "cat.jpg"), ("", None), ("../../etc/passwd", "../../etc/passwd")]
)
async def test_the_name_is_kept_as_a_label(blobs: Blobs, filename: str, name: str | None) -> None:
    original = await original_of(blobs, image(filename=filename))

    assert original.name == name


async def test_the_name_does_not_decide_where_the_file_is_stored(blobs: Blobs) -> None:
    await upload(blobs, image(filename="../../etc/passwd"))

    assert (blobs.list_folders(), blobs.list_names("job")) == (["job"], ["original"])


async def test_other_fields_are_returned(blobs: Blobs) -> None:
    _, fields = await upload(blobs, part("before", b"1"), image(), part("after", "zwölf".encode()))

    assert fields == {"before": "1", "after": "zwölf"}


async def test_a_field_of_the_largest_size_is_returned(blobs: Blobs) -> None:
    _, fields = await upload(blobs, part("note", b"x" * MAX_FIELD_BYTES), image())

    assert fields == {"note": "x" * MAX_FIELD_BYTES}


async def test_a_larger_field_is_refused(blobs: Blobs) -> None:
    with pytest.raises(InvalidForm):
        await upload(blobs, part("note", b"x" * (MAX_FIELD_BYTES + 1)), image())


async def test_a_larger_field_is_read_no_further(blobs: Blobs) -> None:
    request = FakeRequest(chunked(form(part("note", b"x" * 100 * MAX_FIELD_BYTES))))

    with pytest.raises(InvalidForm):
        await store_upload(request, blobs, key=KEY, limits=LIMITS)

    assert request.chunks_read <= MAX_FIELD_BYTES // 1000 + 2


async def test_a_form_without_a_file_has_no_original(blobs: Blobs) -> None:
    assert await upload(blobs, part("note", b"hello")) == (None, {"note": "hello"})


async def test_a_form_without_a_file_stores_nothing(blobs: Blobs) -> None:
    await upload(blobs, part("note", b"hello"))

    assert blobs.list_folders() == []


async def test_a_field_named_file_without_a_file_name_is_refused(blobs: Blobs) -> None:
    with pytest.raises(FileMissing):
        await upload(blobs, part("file", b"hello"))


async def test_an_unknown_field_may_come_twice(blobs: Blobs) -> None:
    _, fields = await upload(blobs, part("tags", b"1"), image(), part("tags", b"2"))

    assert fields == {"tags": "1"}


async def test_a_field_given_twice_is_refused(blobs: Blobs) -> None:
    with pytest.raises(InvalidForm):
        await upload(blobs, part("width", b"1"), image(), part("width", b"2"))


async def test_a_body_that_does_not_match_its_digest_is_refused(blobs: Blobs) -> None:
    digest = f"sha-256=:{b64encode(sha256(b'another body').digest()).decode()}:"
    request = FakeRequest(chunked(form(image())), digest=digest)

    with pytest.raises(DigestMismatch):
        await store_upload(request, blobs, key=KEY, limits=LIMITS)


def digest_of(content: bytes) -> str:
    return f"sha-256=:{b64encode(sha256(content).digest()).decode()}:"


def with_digest(whole: bytes, digest: str) -> bytes:
    """Put a Content-Digest into the head of a part."""
    return whole.replace(b"\r\n\r\n", b"\r\nContent-Digest: %s\r\n\r\n" % digest.encode(), 1)


@pytest.mark.parametrize("chunk", [1, 1000, 1_000_000])
async def test_a_file_that_matches_the_digest_of_its_part_is_stored(blobs: Blobs, chunk: int) -> None:
    content = JPEG[:200]

    await upload(blobs, with_digest(image(content), digest_of(content)), chunk=chunk)

    assert blobs.get(KEY) == content


@pytest.mark.parametrize("chunk", [1000, 1_000_000])
async def test_a_file_that_does_not_match_the_digest_of_its_part_is_refused(blobs: Blobs, chunk: int) -> None:
    with pytest.raises(DigestMismatch, match="part 'file'"):
        await upload(blobs, with_digest(image(), digest_of(b"another file")), chunk=chunk)


async def test_a_field_that_does_not_match_the_digest_of_its_part_is_refused(blobs: Blobs) -> None:
    with pytest.raises(DigestMismatch, match="part 'width'"):
        await upload(blobs, with_digest(part("width", b"1"), digest_of(b"2")), image())


async def test_a_parts_digest_that_cannot_be_read_is_refused(blobs: Blobs) -> None:
    with pytest.raises(InvalidHeader, match="part 'file'"):
        await upload(blobs, with_digest(image(), "nonsense"))


async def test_a_digest_of_the_request_that_does_not_match_says_which_bytes_it_covers(blobs: Blobs) -> None:
    request = FakeRequest(chunked(form(image())), digest=digest_of(b"another body"))

    with pytest.raises(DigestMismatch, match="covers the whole multipart body"):
        await store_upload(request, blobs, key=KEY, limits=LIMITS)


async def test_a_digest_of_the_file_in_the_requests_header_is_recognized(blobs: Blobs) -> None:
    request = FakeRequest(chunked(form(image())), digest=digest_of(JPEG))

    with pytest.raises(DigestMismatch, match="is that of the file, but it must be that of the whole"):
        await store_upload(request, blobs, key=KEY, limits=LIMITS)


async def test_both_digests_may_be_sent(blobs: Blobs) -> None:
    body = form(with_digest(image(), digest_of(JPEG)), part("width", b"1"))

    _, fields = await store_upload(FakeRequest(chunked(body), digest=digest_of(body)), blobs, key=KEY, limits=LIMITS)

    assert fields == {"width": "1"}


@pytest.mark.parametrize("names", [("file", "file"), ("file", "photo"), ("files[]", "files[]"), ("file[0]", "file[1]")])
async def test_a_second_file_is_refused_with_how_to_send_each_by_itself(blobs: Blobs, names: tuple[str, str]) -> None:
    with pytest.raises(TooManyFiles, match=r"`bundle: false`.*`uploadMultiple: false`"):
        await upload(blobs, *[part(name, JPEG, filename="cat.jpg") for name in names])


@pytest.mark.parametrize("name", ["files", "files[]", "file[]", "file[0]", "filepond", "photo", "upload[image]", ""])
async def test_the_file_is_taken_from_a_field_of_any_name(blobs: Blobs, name: str) -> None:
    original = await original_of(blobs, part(name, JPEG, filename="cat.jpg"))

    assert (original.name, original.bytes) == ("cat.jpg", len(JPEG))


@pytest.mark.parametrize("name", ["quality", "width", "source_task_id"])
async def test_a_file_in_a_field_that_takes_text_is_refused(blobs: Blobs, name: str) -> None:
    with pytest.raises(InvalidForm, match=name):
        await upload(blobs, image(), part(name, JPEG, filename="cat.jpg"))


@pytest.mark.parametrize("name", ["file", "filepond"])
async def test_a_text_of_the_files_name_is_ignored(blobs: Blobs, name: str) -> None:
    original, fields = await upload(blobs, part(name, b"{}"), part(name, JPEG, filename="cat.jpg"))

    assert (original is not None, fields) == (True, {})


async def test_a_file_that_was_not_chosen_is_no_file(blobs: Blobs) -> None:
    unchosen = part("other", b"", filename="")

    original, fields = await upload(blobs, unchosen, image(), unchosen)

    assert (original is not None, fields) == (True, {})


async def test_a_form_whose_file_was_not_chosen_has_no_original(blobs: Blobs) -> None:
    assert await upload(blobs, image(b"", filename="")) == (None, {})


def typed(name: str, content: bytes, content_type: str) -> bytes:
    """Return a part with a type but without a file name."""
    return part(name, content).replace(b"\r\n\r\n", f"\r\nContent-Type: {content_type}\r\n\r\n".encode(), 1)


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("file", "image/jpeg"),
        ("file", "IMAGE/HEIC; x=y"),
        ("file", "multipart/form-data"),
        ("file", "application/x-picture"),
        ("photo", "image/*"),
        ("photo", "binary/octet-stream"),
    ],
)
async def test_a_file_without_a_name_is_known_by_its_type(blobs: Blobs, name: str, content_type: str) -> None:
    original = await original_of(blobs, typed(name, JPEG, content_type))

    assert (original.name, original.bytes) == (None, len(JPEG))


@pytest.mark.parametrize("content_type", ["text/plain; charset=utf-8", "multipart/form-data", "application/json"])
async def test_a_text_with_a_type_is_a_text(blobs: Blobs, content_type: str) -> None:
    _, fields = await upload(blobs, typed("format", b"webp", content_type), image())

    assert fields == {"format": "webp"}


@pytest.mark.parametrize("content_type", ["text/plain; charset=utf-8", "application/json"])
async def test_a_text_in_the_field_of_the_file_is_no_file(blobs: Blobs, content_type: str) -> None:
    with pytest.raises(FileMissing, match="no file name"):
        await upload(blobs, typed("file", b"{}", content_type))


async def test_an_image_as_text_is_refused_as_a_missing_file(blobs: Blobs) -> None:
    with pytest.raises(FileMissing, match="no file name"):
        await upload(blobs, part("file", b"data:image/jpeg;base64," + b"A" * 10_000))


async def test_an_empty_file_is_refused(blobs: Blobs) -> None:
    with pytest.raises(EmptyFile):
        await upload(blobs, image(b""))


@pytest.mark.parametrize(
    "content", [b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7", b"\x00" * 5000]
)
async def test_a_file_that_is_no_image_is_refused(blobs: Blobs, content: bytes) -> None:
    with pytest.raises(UnsupportedFormat):
        await upload(blobs, image(content))


async def test_a_file_that_is_no_image_is_read_no_further(blobs: Blobs) -> None:
    request = FakeRequest(chunked(form(image(b"\x00" * 90_000))))

    with pytest.raises(UnsupportedFormat):
        await store_upload(request, blobs, key=KEY, limits=LIMITS)

    assert request.chunks_read == 1


async def test_a_file_that_is_no_image_is_not_stored(blobs: Blobs) -> None:
    with pytest.raises(UnsupportedFormat):
        await upload(blobs, image(b"\x00" * 90_000))

    assert blobs.list_folders() == []


async def test_an_image_whose_header_exceeds_a_limit_is_refused(blobs: Blobs) -> None:
    with pytest.raises(ImageTooLarge):
        await upload(blobs, image(png(5001, 10)))


async def test_an_image_of_the_largest_side_is_accepted(blobs: Blobs) -> None:
    original = await original_of(blobs, image(png(5000, 10)))

    assert original.media_type == "image/png"


async def test_a_file_of_the_largest_size_is_accepted(blobs: Blobs) -> None:
    original = await original_of(blobs, image(JPEG[:3] + bytes(LIMITS.upload_bytes - 3)))

    assert original.bytes == LIMITS.upload_bytes


async def test_a_larger_file_is_refused(blobs: Blobs) -> None:
    with pytest.raises(BodyTooLarge):
        await upload(blobs, image(JPEG[:3] + bytes(LIMITS.upload_bytes - 2)))


async def test_a_larger_file_is_read_no_further(blobs: Blobs) -> None:
    request = FakeRequest(chunked(form(image(JPEG[:3] + bytes(10 * LIMITS.upload_bytes)))))

    with pytest.raises(BodyTooLarge):
        await store_upload(request, blobs, key=KEY, limits=LIMITS)

    assert request.chunks_read <= LIMITS.upload_bytes // 1000 + 2


async def test_a_larger_file_is_not_stored(blobs: Blobs) -> None:
    with pytest.raises(BodyTooLarge):
        await upload(blobs, image(JPEG[:3] + bytes(LIMITS.upload_bytes - 2)))

    assert blobs.list_folders() == []


async def test_a_form_cut_short_is_refused(blobs: Blobs) -> None:
    body = form(image())[:-20]

    with pytest.raises(MalformedForm):
        await store_upload(FakeRequest(chunked(body), FORM_TYPE), blobs, key=KEY, limits=LIMITS)
