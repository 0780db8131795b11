"""Redirects to an object store: when they are refused, and how the API tells of them."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from pydantic import ValidationError

from pipeline.http_settings import ResultsSettings
from pipeline.settings import Settings


@pytest.mark.parametrize("url", ["file:///var/lib/blobs", "memory:///"])
def test_redirects_to_a_store_without_links_are_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="REDIRECT needs an object store"):
        Settings(blob_url=url, results=ResultsSettings(redirect=True))


@pytest.mark.parametrize("url", ["s3://bucket/prefix", "gs://bucket", "az://container"])
def test_redirects_to_an_object_store_are_taken(url: str) -> None:
    assert Settings(blob_url=url, results=ResultsSettings(redirect=True)).results.redirect


def test_results_are_passed_on_unless_it_is_asked_otherwise() -> None:
    assert not Settings(blob_url="s3://bucket").results.redirect


@pytest.mark.parametrize("seconds", [0, 604_801])
def test_a_link_that_no_store_signs_is_refused(seconds: float) -> None:
    with pytest.raises(ValidationError):
        ResultsSettings(redirect_seconds=seconds)


@pytest.mark.parametrize("path", ["/result/{task_id}", "/result/{task_id}/{rendition}"])
def test_the_api_tells_of_redirects(app: FastAPI, path: str) -> None:
    redirect = app.openapi()["paths"][path]["get"]["responses"]["307"]

    assert "Location" in redirect["headers"]
