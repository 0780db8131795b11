"""Finalize adds up the renditions."""

from __future__ import annotations

import pytest

from stages.finalize import Manifest, RenditionFacts, finalize


def rendition(size: int) -> RenditionFacts:
    return RenditionFacts(width=4, height=3, bytes=size, sha256="0" * 64, format="jpeg")


def test_finalize_adds_up_the_renditions() -> None:
    manifest = finalize(
        original_bytes=3000, renditions={"small": [rendition(100)], "large": [rendition(700), rendition(200)]}
    )

    assert manifest == Manifest(renditions=2, bytes=1000, ratio=0.3333)


def test_finalize_refuses_a_job_without_renditions() -> None:
    with pytest.raises(ValueError, match="without a rendition"):
        finalize(original_bytes=1, renditions={})


def test_finalize_refuses_an_empty_original() -> None:
    with pytest.raises(ValueError, match="cannot be empty"):
        finalize(original_bytes=0, renditions={"output": [rendition(1)]})
