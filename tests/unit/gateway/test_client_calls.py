"""The requests of the client: forms, keys, paths, pages and long polls, without a server."""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from gateway.client import AsyncClient, Client, Problem, calls, webhook_calls
from gateway.client.call import Call
from gateway.client.connection import client_options
from gateway.client.files import File
from gateway.client.models import JobPage, JobStatus, JobSummary
from gateway.client.pagination import DeliveryPager, JobPager, JobPoller
from gateway.client.webhook_models import DeliveryPage
from gateway.middleware.authorization import Authorization
from gateway.submission.forms import CropForm, GrayscaleForm, PreviewForm, ProcessForm, ResizeForm
from gateway.webhooks.schemas import RotationRequest, WebhookChange, WebhookRequest
from pipeline.version import VERSION

TASK_ID = "01a20393-7178-742a-8954-a6e97ef610d9"
FORMS: dict[Callable[..., Any], type[BaseModel]] = {
    calls.upload: PreviewForm,
    calls.crop: CropForm,
    calls.grayscale: GrayscaleForm,
    calls.resize: ResizeForm,
    calls.process: ProcessForm,
}
NOT_FIELDS = {"file", "options", "name", "idempotency_key", "progress"}


def parameters(build: Callable[..., Any]) -> set[str]:
    own = set(inspect.signature(build).parameters)
    return own | set(calls.ImageOptions.__annotations__)


def request_of(call: Call[Any]) -> httpx.Request:
    with call.open_request() as built:
        request = httpx.Request(built["method"], "http://darkroom" + built["url"], files=built.get("files"))
        request.read()
        return request


@pytest.mark.parametrize(("build", "form"), FORMS.items(), ids=lambda each: each.__name__)
def test_each_field_of_a_form_has_its_parameter(build: Callable[..., Any], form: type[BaseModel]) -> None:
    assert parameters(build) - NOT_FIELDS == set(form.model_fields)


@pytest.mark.parametrize("build", FORMS, ids=lambda each: each.__name__)
def test_an_unknown_parameter_is_a_type_error(build: Callable[..., Any]) -> None:
    needed = {"steps": ["grayscale"]} if build is calls.process else {}

    with pytest.raises(TypeError, match="qualty"):
        build(b"an image", qualty=80, **needed)


def test_steps_are_sent_as_json() -> None:
    request = request_of(calls.process(source_task_id="an-id", steps=["grayscale", {"blur": 2}]))

    assert b'["grayscale",{"blur":2}]' in request.content


@pytest.mark.parametrize("name", sorted(name for name in vars(Client) if not name.startswith("_")))
def test_both_clients_have_the_same_methods(name: str) -> None:
    one, other = inspect.signature(getattr(Client, name)), inspect.signature(getattr(AsyncClient, name))

    assert list(one.parameters) == list(other.parameters)
    assert getattr(Client, name).__doc__ == getattr(AsyncClient, name).__doc__


PAIRED = {
    webhook_calls.create_webhook: WebhookRequest,
    webhook_calls.update_webhook: WebhookChange,
    webhook_calls.rotate_webhook_secret: RotationRequest,
}


@pytest.mark.parametrize(("build", "model"), PAIRED.items(), ids=lambda each: each.__name__)
def test_each_field_of_a_webhook_has_its_parameter(build: Callable[..., Any], model: type[BaseModel]) -> None:
    assert set(inspect.signature(build).parameters) - {"webhook_id"} == set(model.model_fields)


def test_only_what_is_given_of_a_webhook_is_changed() -> None:
    call = webhook_calls.update_webhook("an/id", events=["job.done"], disabled=False)

    assert (call.method, call.path) == ("PATCH", "/webhooks/an%2Fid")
    assert call.document == {"events": ["job.done"], "disabled": False}


def test_deliveries_are_listed_page_by_page_up_to_the_limit() -> None:
    pager = DeliveryPager("an-id", "failed", 3)
    one = {"delivery_id": "a.b", "webhook_id": "b", "status": "failed"}
    page = DeliveryPage.model_validate({"deliveries": [one, one], "next": "there"})

    calls_made = [pager.next_call()]
    found = list(pager.process_answer(page))
    calls_made.append(pager.next_call())
    found += pager.process_answer(page.model_copy(update={"next": "elsewhere"}))

    assert [call.query for call in calls_made if call] == [
        {"status": "failed", "limit": 3},
        {"status": "failed", "cursor": "there", "limit": 1},
    ]
    assert (len(found), pager.next_call()) == (3, None)


def test_all_attempts_of_a_call_have_the_same_idempotency_key() -> None:
    call, other = calls.upload(b"an image"), calls.upload(b"an image")

    keys = [call.headers["Idempotency-Key"] for _ in range(2)]

    assert keys[0] == keys[1] != other.headers["Idempotency-Key"]
    assert calls.upload(b"an image", idempotency_key="mine").headers["Idempotency-Key"] == "mine"


def test_each_attempt_sends_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"an image")
    files: list[File] = [path, str(path), b"an image", io.BytesIO(b"an image")]

    for file in files:
        call = calls.upload(file, name="x.jpg")
        bodies = [request_of(call).content for _ in range(2)]

        assert all(b'filename="x.jpg"' in body and b"\r\n\r\nan image\r\n" in body for body in bodies)


def test_a_stream_is_sent_from_its_current_position() -> None:
    stream = io.BytesIO(b"header|an image")
    stream.seek(7)

    assert b"\r\n\r\nan image\r\n" in request_of(calls.upload(stream)).content


def test_progress_is_reported_from_the_start_in_each_attempt() -> None:
    reports: list[tuple[int, int]] = []
    call = calls.upload(b"x" * 200_000, progress=lambda *progress: reports.append(progress))

    request_of(call)
    first = list(reports)
    request_of(call)

    assert first[0] == (65536, 200_000)
    assert first[-1] == (200_000, 200_000)
    assert reports == first * 2


def test_a_form_without_a_file_is_multipart_too() -> None:
    request = request_of(calls.crop(source_task_id="an-id", aspect="16:9"))

    assert request.headers["content-type"].startswith("multipart/form-data")
    assert b'name="aspect"\r\n\r\n16:9\r\n' in request.content
    assert b"filename" not in request.content


def test_only_the_given_fields_are_sent() -> None:
    call = calls.resize(b"an image", width=5, enlarge=True)

    assert call.form == {"width": "5", "enlarge": "true"}


def test_a_name_that_is_not_utf_8_can_be_sent(tmp_path: Path) -> None:
    path = tmp_path / "caf\udce9.jpg"
    path.write_bytes(b"an image")

    assert "caf�.jpg".encode() in request_of(calls.upload(path)).content


def test_an_id_is_always_one_segment_of_the_path() -> None:
    assert calls.status("../jobs?x=1").path == "/task-status/..%2Fjobs%3Fx%3D1"
    assert calls.result("an-id", "a/b").path == "/result/an-id/a%2Fb"


def test_a_format_is_asked_for_only_if_it_is_given() -> None:
    assert calls.result("an-id", format="avif").query == calls.save_result("an-id", format="avif").query
    assert calls.result("an-id", format="avif").query == {"format": "avif"}
    assert calls.result("an-id").query == calls.save_result("an-id").query == {}


def test_delete_and_retry_are_not_idempotent() -> None:
    assert not calls.delete("an-id").is_idempotent
    assert not calls.retry("an-id").is_idempotent
    assert not calls.reprocess("an-id").is_idempotent
    assert calls.upload(b"an image").is_idempotent


def test_pages_are_fetched_when_they_are_needed() -> None:
    pages = JobPager("done", None, 150)
    first = pages.next_call()
    jobs = pages.process_answer(JobPage(jobs=some_jobs(100), next="there"))
    second = pages.next_call()
    jobs += pages.process_answer(JobPage(jobs=some_jobs(50), next="further"))

    assert first is not None
    assert second is not None
    assert first.query == {"status": "done", "limit": 100}
    assert second.query == {"status": "done", "limit": 50, "cursor": "there"}
    assert pages.next_call() is None
    assert len(jobs) == 150


def test_the_last_page_has_no_successor() -> None:
    pages = JobPager(None, None, None)
    pages.process_answer(JobPage(jobs=some_jobs(3), next=None))

    assert pages.next_call() is None


def test_a_page_longer_than_the_limit_is_truncated() -> None:
    assert len(JobPager(None, None, 2).process_answer(JobPage(jobs=some_jobs(3), next="there"))) == 2


def some_jobs(count: int) -> list[JobSummary]:
    return [JobSummary(task_id=str(uuid4()), kind="previews", status="done") for _ in range(count)]


def job(status: str) -> JobStatus:
    return JobStatus(task_id=TASK_ID, kind="previews", status=status)


def test_following_a_job_returns_only_changes() -> None:
    poller = JobPoller(TASK_ID)
    first = poller.next_call()
    begun = poller.process_answer((job("processing"), 'W/"1"'))
    second = poller.next_call()
    unchanged = poller.process_answer((None, 'W/"1"'))
    third = poller.next_call()
    ended = poller.process_answer((job("done"), 'W/"2"'))

    assert first is not None
    assert second is not None
    assert third is not None
    assert (first.query, dict(first.headers)) == ({"wait": 0}, {})
    assert (second.query, dict(second.headers)) == ({"wait": 20.0}, {"If-None-Match": 'W/"1"'})
    assert third.headers == second.headers
    assert second.server_wait_seconds == 20
    assert [len(changes) for changes in (begun, unchanged, ended)] == [1, 0, 1]
    assert poller.next_call() is None


def test_an_etag_that_cannot_be_sent_is_not_sent() -> None:
    poller = JobPoller(TASK_ID)
    poller.process_answer((job("processing"), '"\xff"'))

    call = poller.next_call()

    assert call is not None
    assert call.headers == {}


def test_following_a_job_ends_after_the_timeout() -> None:
    now = 100.0
    poller = JobPoller(TASK_ID, timeout=5, clock=lambda: now)
    poller.process_answer((job("processing"), None))
    call = poller.next_call()
    now = 105.0

    assert call is not None
    assert call.query == {"wait": 5.0}
    with pytest.raises(TimeoutError, match="still processing after 5 s"):
        poller.next_call()


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("http://darkroom/", "http://darkroom"),
        ("darkroom:8001", "http://darkroom:8001"),
        ("https://example.com/darkroom/", "https://example.com/darkroom"),
    ],
)
def test_addresses_are_normalized(given: str, address: str) -> None:
    assert client_options(given, None)["base_url"] == address


def test_the_client_names_itself_and_its_version() -> None:
    assert client_options(None, None)["headers"]["User-Agent"] == f"darkroom-client/{VERSION}"


@pytest.mark.parametrize("given", ["http://", "ftp://darkroom", "http:///x", "http://a..b", f"http://{'a' * 64}"])
def test_invalid_addresses_are_refused(given: str) -> None:
    with pytest.raises(httpx.InvalidURL):
        client_options(given, None)


@pytest.mark.usefixtures("http")
async def test_a_key_is_sent_and_a_missing_one_is_a_problem(app: FastAPI) -> None:
    guarded = httpx.ASGITransport(Authorization(app, keys={"ann": sha256(b"her key").hexdigest()}))
    async with AsyncClient("http://localhost", transport=guarded) as stranger:
        with pytest.raises(Problem, match="unauthorized"):
            await stranger.capabilities()

    async with AsyncClient("http://localhost", api_key="her key", transport=guarded) as ann:
        assert (await ann.capabilities()).accepts


def test_address_and_key_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_URL", "http://elsewhere:1")
    monkeypatch.setenv("DARKROOM_API_KEY", "a key")

    assert client_options(None, None)["base_url"] == "http://elsewhere:1"
    assert client_options(None, None)["headers"]["Authorization"] == "Bearer a key"
    assert client_options("http://here", "another")["headers"]["Authorization"] == "Bearer another"


@pytest.mark.parametrize(
    ("url", "proxied"), [("http://127.0.0.1:1", False), ("http://[::1]:1", False), ("http://a.b", True)]
)
def test_no_proxy_is_used_for_loopback_addresses(url: str, proxied: bool) -> None:
    assert client_options(url, None)["trust_env"] is proxied


def test_a_redirect_to_an_object_store_does_not_get_the_api_key() -> None:
    keys: dict[str, str | None] = {}

    def answer(request: httpx.Request) -> httpx.Response:
        keys[request.url.host] = request.headers.get("authorization")
        if request.url.host == "bucket":
            return httpx.Response(200, content=b"a preview")
        return httpx.Response(307, headers={"Location": "https://bucket/small.1?signature=x"})

    with Client("http://darkroom", api_key="her key", transport=httpx.MockTransport(answer)) as ann:
        content = ann.result(str(uuid4()), "small")

    assert content == b"a preview"
    assert keys == {"darkroom": "Bearer her key", "bucket": None}
