"""How the client parses answers: lenient models, problems, bytes with their digests, files."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel, ValidationError

from gateway import image_schemas, rendition_schemas, schemas
from gateway.bulk import schemas as bulk_schemas
from gateway.client import (
    JobCancelled,
    JobDead,
    JobExpired,
    JobFailed,
    JobWithoutResult,
    bulk_models,
    models,
    webhook_models,
)
from gateway.client.filenames import filename_of, join_inside
from gateway.client.job_errors import ensure_result
from gateway.client.problem import Problem
from gateway.client.receivers import ContentMismatch, FileReceiver, MemoryReceiver, expected_digest_of, verify_content
from gateway.routes import capabilities, tokens
from gateway.webhooks import delivery_schemas
from gateway.webhooks import schemas as webhook_schemas
from storage import documents

PAIRS: list[tuple[type[BaseModel], type[BaseModel]]] = [
    (schemas.Links, models.Links),
    (schemas.FieldWarning, models.FieldWarning),
    (schemas.Accepted, models.Accepted),
    (schemas.Reprocessing, models.Reprocessing),
    (bulk_schemas.BulkAccepted, bulk_models.BulkAccepted),
    (bulk_schemas.BulkStatus, bulk_models.BulkStatus),
    (webhook_schemas.Webhook, webhook_models.Webhook),
    (webhook_schemas.WebhookWithSecret, webhook_models.WebhookWithSecret),
    (webhook_schemas.WebhookList, webhook_models.WebhookList),
    (webhook_schemas.WebhookLinks, webhook_models.WebhookLinks),
    (delivery_schemas.TryStatus, webhook_models.TryStatus),
    (delivery_schemas.DeliveryLinks, webhook_models.DeliveryLinks),
    (delivery_schemas.DeliveryStatus, webhook_models.DeliveryStatus),
    (delivery_schemas.DeliveryDetails, webhook_models.DeliveryDetails),
    (delivery_schemas.DeliveryPage, webhook_models.DeliveryPage),
    (documents.PresetReference, models.PresetReference),
    (tokens.Token, models.Token),
    (schemas.StageStatus, models.StageStatus),
    (rendition_schemas.RenditionStatus, models.RenditionStatus),
    (rendition_schemas.VariantStatus, models.VariantStatus),
    (rendition_schemas.Preview, models.Preview),
    (image_schemas.ColorSpaceStatus, models.ColorSpaceStatus),
    (image_schemas.OriginalStatus, models.OriginalStatus),
    (image_schemas.SourceStatus, models.SourceStatus),
    (image_schemas.Placeholder, models.Placeholder),
    (schemas.JobStatus, models.JobStatus),
    (schemas.JobSummary, models.JobSummary),
    (schemas.JobPage, models.JobPage),
    (schemas.Check, models.Check),
    (schemas.Readiness, models.Readiness),
    (documents.Failure, models.Failure),
    (capabilities.Capabilities, models.Capabilities),
]
TASK_ID = "01a20393-7178-742a-8954-a6e97ef610d9"
CONTENT = b"an image"
DIGEST = sha256(CONTENT).hexdigest()
REPR_DIGEST = f"sha-256=:{b64encode(sha256(CONTENT).digest()).decode()}:"


def answer(status: int = 200, content: bytes = b"", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, content=content, headers=named, request=httpx.Request("GET", "http://darkroom/x"))


def read(found: httpx.Response) -> models.JobStatus:
    with MemoryReceiver(found, lambda _, content: models.JobStatus.model_validate_json(content)) as receiver:
        receiver.write(found.content)
        return receiver.result()


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=lambda shape: shape.__name__)
def test_the_client_knows_the_fields_that_the_gateway_writes(ours: type[BaseModel], theirs: type[BaseModel]) -> None:
    assert set(theirs.model_fields) == set(ours.model_fields)


@pytest.mark.parametrize("state", documents.JobState)
def test_the_client_knows_which_states_are_terminal(state: documents.JobState) -> None:
    job = models.JobStatus(task_id=TASK_ID, kind="previews", status=state)

    assert job.has_ended == (state not in documents.ACTIVE_STATES)


def test_unknown_fields_and_states_are_kept() -> None:
    document = {
        "task_id": TASK_ID,
        "kind": "collage",
        "status": "queued",
        "mood": "fine",
        "stages": {"cut": {"state": "odd"}},
    }

    job = models.JobStatus.model_validate(document)

    assert (job.kind, job.status, job.stages["cut"].state) == ("collage", "queued", "odd")
    assert not job.has_ended
    assert job.model_dump()["mood"] == "fine"


def test_an_unknown_state_is_terminal_if_it_has_a_finish_time() -> None:
    job = models.JobStatus.model_validate(
        {"task_id": TASK_ID, "kind": "crop", "status": "archived", "finished_at": "2030-01-01T00:00:00Z"}
    )

    assert job.has_ended


def job(status: str, **facts: Any) -> models.JobStatus:
    return models.JobStatus.model_validate({"task_id": TASK_ID, "kind": "crop", "status": status} | facts)


MADE = {"output": {"format": "jpeg", "width": 1, "height": 1, "bytes": 1, "sha256": DIGEST}}
FAILURE = {"code": "image_corrupt", "message": "It is broken.", "errors": [{"pointer": "/file"}]}


@pytest.mark.parametrize(
    ("status", "checks", "accepts"),
    [
        ("ready", {"disk": True}, True),
        ("degraded", {"redis": False, "disk": True}, True),
        ("degraded", {"redis": False}, True),
        ("degraded", {"redis": True, "disk": False}, False),
        ("unavailable", {"mongo": False}, False),
    ],
)
def test_a_gateway_with_a_full_disk_accepts_no_uploads(status: str, checks: dict[str, bool], accepts: bool) -> None:
    answer = models.Readiness.model_validate(
        {"status": status, "checks": {key: {"ok": ok} for key, ok in checks.items()}}
    )

    assert answer.accepts_uploads is accepts


def test_a_job_that_is_done_has_a_result() -> None:
    done = job("done", renditions=MADE)

    assert ensure_result(done) is done


@pytest.mark.parametrize(
    ("ended", "error", "code"),
    [
        (job("failed", failure=FAILURE), JobFailed, "image_corrupt"),
        (job("dead", failure={"code": "attempts_exhausted"}), JobDead, "attempts_exhausted"),
        (job("cancelled"), JobCancelled, "cancelled"),
        (job("done"), JobExpired, "expired"),
        (job("archived"), JobWithoutResult, "archived"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_status_without_a_result_has_its_error(
    ended: models.JobStatus, error: type[JobWithoutResult], code: str
) -> None:
    with pytest.raises(JobWithoutResult, match=code) as caught:
        ensure_result(ended)

    assert (type(caught.value), caught.value.code, caught.value.job) == (error, code, ended)
    assert caught.value.errors == (ended.failure.errors if ended.failure else [])


def test_a_problem_has_all_fields_of_its_document() -> None:
    rules = [{"pointer": "/quality", "rule": "maximum", "message": "too much"}]
    document = {"type": "urn:x", "title": "T", "status": 422, "code": "invalid_form", "detail": "No.", "errors": rules}

    with pytest.raises(Problem) as caught:
        read(answer(422, json.dumps(document).encode(), retry_after="7"))

    problem = caught.value
    assert (problem.status, problem.code, problem.detail) == (422, "invalid_form", "No.")
    assert (problem.errors, problem.retry_after, problem.document) == (rules, 7.0, document)


@pytest.mark.parametrize("content", [b"<html>Bad Gateway</html>", b"", b"[]", b"{}", b'{"errors": 5}', b"\xff"])
def test_an_error_page_of_a_proxy_is_a_problem_too(content: bytes) -> None:
    problem = Problem.of(answer(502, content), content)

    assert (problem.status, problem.code, problem.errors) == (502, "bad_gateway", [])


def test_a_problem_for_a_redirect_has_its_location() -> None:
    problem = Problem.of(answer(308, location="https://darkroom/"), b"")

    assert problem.detail == "Permanent Redirect: https://darkroom/"


@pytest.mark.parametrize("content", [b"<html>Welcome to the hotel</html>", b"{}", b'"yes"'])
def test_a_success_that_cannot_be_parsed_is_a_problem(content: bytes) -> None:
    with pytest.raises(Problem, match="is not a Darkroom answer") as caught:
        read(answer(200, content))

    assert caught.value.code == "unreadable_answer"


@pytest.mark.parametrize(
    "headers",
    [{"repr_digest": REPR_DIGEST}, {"etag": f'"{DIGEST}"'}, {"repr_digest": f"sha-512=:AAAA:, {REPR_DIGEST}"}, {}],
)
def test_bytes_that_match_their_digest_are_returned(headers: dict[str, str]) -> None:
    assert verify_content(answer(200, CONTENT, **headers), CONTENT) == CONTENT


@pytest.mark.parametrize("headers", [{"repr_digest": REPR_DIGEST}, {"etag": f'"{DIGEST}"'}])
def test_bytes_that_do_not_match_their_digest_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ContentMismatch, match="SHA-256"):
        verify_content(answer(200, b"something else", **headers), b"something else")


@pytest.mark.parametrize("etag", ['W/"' + "a" * 64 + '"', '"abc"', "", "a" * 64])
def test_an_etag_that_is_not_a_sha256_is_no_digest(etag: str) -> None:
    assert expected_digest_of(httpx.Headers({"etag": etag})) is None


def saved(path: Path, content: bytes, found: httpx.Response) -> Path:
    with FileReceiver(found, path) as receiver:
        for byte in content:
            receiver.write(bytes([byte]))
        return receiver.result()


def test_a_saved_file_replaces_the_old_one_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "small.jpg"
    path.write_bytes(b"old")

    assert saved(path, CONTENT, answer(repr_digest=REPR_DIGEST)) == path
    assert path.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [path]


def test_a_digest_mismatch_keeps_the_old_file_and_leaves_no_other(tmp_path: Path) -> None:
    path = tmp_path / "small.jpg"
    path.write_bytes(b"old")

    with pytest.raises(ContentMismatch):
        saved(path, b"something else", answer(repr_digest=REPR_DIGEST))

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def beside(path: Path, content: bytes) -> Path:
    with FileReceiver(answer(), path, overwrite=False) as receiver:
        receiver.write(content)
        return receiver.result()


def test_different_files_with_one_name_are_numbered_and_equal_ones_are_saved_once(tmp_path: Path) -> None:
    path = tmp_path / "photo-crop.jpg"

    places = [beside(path, content) for content in (b"one", b"two", b"three", b"two", b"one")]

    assert [place.name for place in places] == [
        "photo-crop.jpg",
        "photo-crop (2).jpg",
        "photo-crop (3).jpg",
        "photo-crop (2).jpg",
        "photo-crop.jpg",
    ]
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ("inline; filename=\"_-crop.jpg\"; filename*=UTF-8''%D1%84-crop.jpg", "\u0444-crop.jpg"),
        ('attachment; filename="a b-small.webp"', "a b-small.webp"),
        ("inline; filename*=UTF-8''..%2F..%5Cetc%2F.passwd", "passwd.jpg"),
        ('inline; filename="../../up.jpg"', "up.jpg"),
        ('inline; filename=".."', "x.jpg"),
        ("inline; filename*=UTF-8''%0A%00", "x.jpg"),
        ("inline", "x.jpg"),
        ("", "x.jpg"),
        ('inline; filename="Makefile"', "Makefile.jpg"),
        ('inline; filename="conftest.py"', "conftest.py.jpg"),
        ('inline; filename="beach.TIFF"', "beach.TIFF"),
    ],
)
def test_a_file_name_is_the_gateways_and_never_a_path(disposition: str, name: str) -> None:
    assert filename_of(answer(content_disposition=disposition, content_type="image/jpeg")) == name


def test_a_media_type_adds_no_extension_but_that_of_an_image() -> None:
    assert filename_of(answer(content_disposition='inline; filename="run"', content_type="image/sh")) == "run.bin"


def test_a_name_that_leads_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    assert join_inside(tmp_path, "trip/beach.jpg") == tmp_path / "trip/beach.jpg"
    for name in ("../beach.jpg", "trip/../../beach.jpg", "/beach.jpg"):
        with pytest.raises(OSError, match="leads out of the folder"):
            join_inside(tmp_path, name)


def receive(receiver: MemoryReceiver[bytes] | FileReceiver) -> None:
    with receiver:
        receiver.write(bytes(1 << 20))
        receiver.write(bytes(8 << 20))


def test_a_body_that_is_too_large_is_a_problem_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="It is larger than 8 MiB"):
        receive(MemoryReceiver(answer(500), verify_content, max_bytes=10 << 20))
    with pytest.raises(Problem, match="It is larger than 1 MiB"):
        receive(MemoryReceiver(answer(), verify_content, max_bytes=1 << 20))
    with pytest.raises(Problem, match="It is larger than 2 MiB"):
        receive(FileReceiver(answer(), tmp_path / "x.jpg", max_bytes=2 << 20))

    assert list(tmp_path.iterdir()) == []


BAD_NAMES = ["x/../up", "/srv/up", "..", "a\0b", "a\x1b[2Jb", "A", "", "n" * 65, "ne\nw", "small\n"]


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("field", ["task_id", "kind", "rendition", "format", "stage"])
def test_a_name_that_could_be_a_path_is_refused(field: str, name: str) -> None:
    facts: dict[str, dict[str, Any]] = {
        "rendition": {"renditions": {name: MADE["output"]}},
        "format": {"renditions": {"output": MADE["output"] | {"format": name}}},
        "stage": {"stages": {name: {"state": "done"}}},
    }

    with pytest.raises(ValidationError):
        job("done", **facts.get(field, {field: name}))


@pytest.mark.parametrize("content", [b"[" * 200_000, b'{"a":' * 200_000, b"9" * 5000])
def test_a_document_that_cannot_be_parsed_is_a_problem(content: bytes) -> None:
    for status in (200, 500):
        with pytest.raises(Problem):
            read(answer(status, content))


def test_an_interrupted_download_leaves_no_file(tmp_path: Path) -> None:
    def interrupted() -> Any:
        with FileReceiver(answer(), tmp_path / "small.jpg") as receiver:
            receiver.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert list(tmp_path.iterdir()) == []
