"""The API's description and its page: the forms in JSON Schema's words, and files that load nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from gateway.routes.docs import FILES
from stages.limits import Limits

POSTS = ["/upload", "/crop", "/grayscale", "/resize", "/process"]
WORDS = {
    *("type", "enum", "title", "description", "default", "example", "examples"),
    *("minimum", "maximum", "pattern", "contentMediaType", "contentSchema", "maxLength", "format"),
}
SIDE = Limits().side


def fields_of(app: FastAPI, path: str) -> dict[str, dict[str, Any]]:
    body = app.openapi()["paths"][path]["post"]["requestBody"]
    found: dict[str, dict[str, Any]] = body["content"]["multipart/form-data"]["schema"]["properties"]
    return found


def every_field(app: FastAPI) -> Iterator[tuple[str, str, dict[str, Any]]]:
    return ((path, name, field) for path in POSTS for name, field in fields_of(app, path).items())


def test_every_field_is_described_in_the_words_of_json_schema(app: FastAPI) -> None:
    assert {(path, name): field.keys() - WORDS for path, name, field in every_field(app) if field.keys() - WORDS} == {}


@pytest.mark.parametrize("path", POSTS)
def test_generators_of_clients_know_the_file_as_one(app: FastAPI, path: str) -> None:
    file = fields_of(app, path)["file"]

    # openapi-python-client sends a field without the format as text, which has no file name and is refused.
    assert (file["format"], file["contentMediaType"]) == ("binary", "application/octet-stream")


def test_every_field_has_one_type(app: FastAPI) -> None:
    assert {field["type"] for _, _, field in every_field(app)} == {"string", "integer", "boolean"}


@pytest.mark.parametrize(
    ("path", "name", "bounds"),
    [
        ("/upload", "quality", (1, 100)),
        ("/crop", "left", (0, SIDE)),
        ("/crop", "top", (0, SIDE)),
        ("/crop", "width", (1, SIDE)),
        ("/resize", "height", (1, SIDE)),
    ],
)
def test_a_number_has_its_bounds(app: FastAPI, path: str, name: str, bounds: tuple[int, int]) -> None:
    field = fields_of(app, path)[name]

    assert (field["minimum"], field["maximum"]) == bounds


@pytest.mark.parametrize("name", ["background", "aspect"])
def test_a_text_has_its_pattern(app: FastAPI, name: str) -> None:
    assert fields_of(app, "/crop")[name]["pattern"]


def test_the_form_says_where_the_digest_of_the_file_belongs(app: FastAPI) -> None:
    body = app.openapi()["paths"]["/upload"]["post"]["requestBody"]

    assert "Content-Digest" in body["content"]["multipart/form-data"]["encoding"]["file"]["headers"]


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", *(f"/docs/{name}" for name in FILES)])
async def test_what_the_docs_consist_of_is_served_with_its_guards(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)

    assert answer.status_code == 200
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; ")


async def test_an_unchanged_file_of_the_docs_is_not_sent_again(http: httpx.AsyncClient) -> None:
    first = await http.get("/docs/swagger-ui.css")

    again = await http.get("/docs/swagger-ui.css", headers={"If-None-Match": first.headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")


async def test_the_page_names_no_other_server(http: httpx.AsyncClient) -> None:
    assert "//" not in (await http.get("/docs")).text


@pytest.mark.parametrize("path", ["/redoc", "/docs/index.html", "/docs/README.md", "/docs/..%2fapp.py"])
async def test_nothing_else_is_served(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 404


async def test_a_file_that_the_docs_do_not_have_is_named_as_such(http: httpx.AsyncClient) -> None:
    answer = (await http.get("/docs/index.html")).json()

    assert (answer["code"], answer["detail"]) == (
        "not_found",
        "The docs have no file 'index.html'. Open /docs instead.",
    )


async def test_the_root_leads_to_the_docs(http: httpx.AsyncClient, app: FastAPI) -> None:
    answer = await http.get("/")

    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")
    assert "/" not in app.openapi()["paths"]
