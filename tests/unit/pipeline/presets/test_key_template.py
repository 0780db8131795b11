"""Keys of exported objects: which templates are right, and that no value makes a key that is unsafe."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import obstore
import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore

from pipeline.export_plan import plan_export
from pipeline.presets.key_template import (
    MAX_KEY_BYTES,
    find_metadata,
    find_missing,
    find_mistakes,
    make_distinct,
    make_safe,
    render,
)
from storage.documents import JobRecord, Original, StageRecord, StageState
from tests.support.fakes import new_job
from tests.support.properties import EXAMPLES

TEMPLATES = (
    "{metadata.sku}/{rendition}.{ext}",
    "{metadata.sku}/{rendition}{dpr}.{ext}",
    "{date}/{task_id}-{revision}/{rendition}.{ext}",
    "by-hash/{sha256}",
    "shop/{metadata.a_b-c}/{name}@{dpr}/{rendition},{ext}",
    "{metadata.a}{metadata.b}{rendition}",
)
PLACEHOLDERS = "Use one of: task_id, rendition, ext, dpr, name, date, sha256, revision, metadata.NAME."
DPR_ONLY = "A part between slashes cannot be {dpr} alone: it is empty."
DOTS = "A key has no .. and no part that is a dot; {dpr} may be empty."


def variant(**changes: Any) -> dict[str, Any]:
    """Return the record of a file."""
    known = {"blob": "b", "format": "jpeg", "media_type": "image/jpeg", "dpr": 1, "bytes": 3, "sha256": "5" * 64}
    return known | changes


def job_of(results: dict[str, dict[str, Any]], **fields: Any) -> JobRecord:
    """Return a job whose renditions are done with these results."""
    done = {name: StageRecord(state=StageState.DONE, result=result) for name, result in results.items()}
    return new_job(renditions=dict.fromkeys(results, 10), stages=done, **fields)


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_right_template_has_no_mistakes(template: str) -> None:
    assert list(find_mistakes(template)) == []


@pytest.mark.parametrize(
    ("template", "mistakes"),
    [
        ("", ["A part of it is empty."]),
        ("/{rendition}", ["A key does not begin with a slash."]),
        ("a//{rendition}", ["A part of it is empty."]),
        ("{rendition}/", ["A part of it is empty."]),
        ("a/../{rendition}", [DOTS]),
        ("./{rendition}", [DOTS]),
        ("{rendition}..{ext}", [DOTS]),
        ("{rendition}.{dpr}.{ext}", [DOTS]),
        ("{rendition}/.{dpr}", [DOTS]),
        ("{rendition}/{dpr}/{ext}", [DPR_ONLY]),
        ("{rendition", ["A brace has no partner."]),
        ("{{rendition}}", ["A brace has no partner."]),
        ("{}", [f"There is no placeholder {{}}. {PLACEHOLDERS}"]),
        ("{renditon}", ["There is no placeholder {renditon}. Did you mean rendition?"]),
        ("{metadata}", ["There is no placeholder {metadata}. Did you mean metadata.NAME?"]),
        ("{metadata.}", ["There is no placeholder {metadata.}. Did you mean metadata.NAME?"]),
        ("{metadata.a.b}", ["There is no placeholder {metadata.a.b}. Did you mean metadata.NAME?"]),
        ("a b/{rendition}", ["Besides placeholders, a key may have ASCII letters, digits, / and -_.@=,!() only."]),
        ("é\n{rendition}", ["Besides placeholders, a key may have ASCII letters, digits, / and -_.@=,!() only."]),
        ("{metadata.a}" * 9, ["A key of it can have 900 bytes; at most 800 are possible."]),
    ],
)
def test_a_mistake_in_a_template_is_a_sentence(template: str, mistakes: list[str]) -> None:
    assert list(find_mistakes(template)) == mistakes


def test_a_template_says_which_metadata_it_needs() -> None:
    template = "{metadata.sku}/{metadata.shop}/{metadata.sku}.{ext}"

    assert find_metadata(template) == ["sku", "shop"]
    assert find_missing(template, {"sku": "A-1", "shop": ""}) == ["shop"]


@pytest.mark.parametrize(
    ("value", "safe"),
    [
        ("A-1", "A-1"),
        ("Größe_3", "Größe_3"),
        ("शर्ट", "शर्ट"),
        ("red shoes", "red_shoes"),
        ("shoes/red", "shoes_red"),
        ("..\\..", "___"),
        ("..", "_"),
        (".hidden.", "_hidden_"),
        ("a..b", "a_b"),
        ("a\x00\n\x7fb", "a___b"),
        ("100%#?+", "100____"),
        ("\ud800", "_"),
        ("x" * 256, "x" * 100),
        ("é" * 256, "é" * 50),
    ],
)
def test_a_value_is_made_safe(value: str, safe: str) -> None:
    assert make_safe(value) == safe


def test_two_values_of_metadata_stay_two() -> None:
    values = ["a/b", "a_b", "a\\b", "a b", "x" * 200, "x" * 201, "x" * 100]

    assert len({make_distinct(value) for value in values}) == len(values)
    assert make_distinct("a_b") == "a_b"
    assert re.fullmatch("a_b-[0-9a-f]{12}", make_distinct("a/b"))
    assert make_distinct("e\u0301") == make_distinct("é") == "é"


@EXAMPLES
@given(
    template=st.sampled_from(TEMPLATES),
    sku=st.text(min_size=1, max_size=256),
    name=st.none() | st.text(max_size=300),
    dpr=st.floats(1, 4, width=16),
    image_format=st.sampled_from(["jpeg", "png", "webp", "avif", "gif"]),
    revision=st.integers(0, 2**31),
)
def test_every_key_is_safe_and_is_what_the_store_calls_the_object(
    template: str, sku: str, name: str | None, dpr: float, image_format: str, revision: int
) -> None:
    original = Original(blob="b", name=name, media_type="image/jpeg", bytes=1, sha256="0" * 64)
    result = variant(format=image_format, variants=[variant(format=image_format, dpr=dpr)])
    metadata = {"sku": sku, "a_b-c": sku, "a": sku, "b": sku}

    (file,) = plan_export(job_of({"card": result}, original=original, metadata=metadata, revision=revision), template)

    parts, store = file.key.split("/"), MemoryStore()
    assert not {"", ".", ".."} & set(parts)
    assert len(file.key.encode()) <= MAX_KEY_BYTES
    assert ".." not in file.key
    assert file.key.isprintable()
    obstore.put(store, file.key, b"content")
    assert [item["path"] for page in obstore.list(store) for item in page] == [file.key]


@EXAMPLES
@given(names=st.sets(st.from_regex(r"\A[a-z][a-z0-9_]{0,31}\Z"), min_size=2, max_size=4), data=st.data())
def test_no_two_files_have_one_key_if_a_template_tells_them_apart(names: set[str], data: st.DataObject) -> None:
    pieces = ["{rendition}", "{ext}", "{dpr}", "{metadata.sku}", "a", "1", "-", "_"]
    template = "x" + "".join(data.draw(st.permutations(pieces)))
    files = {
        name: variant(
            variants=[
                variant(format=image_format, dpr=dpr)
                for image_format in ("jpeg", "avif", "webp")
                for dpr in (1, 1.5, 2)
            ]
        )
        for name in names
    }

    assert len(plan_export(job_of(files, metadata={"sku": "a1"}), template)) == 9 * len(names)


def test_each_placeholder_has_its_value() -> None:
    template = "{task_id}|{rendition}|{ext}|{dpr}|{name}|{date}|{sha256}|{revision}|{metadata.sku}"
    job = job_of(
        {"card": variant(dpr=2)},
        id="019392f0-7c1e-7d4a-b4d8-0f5e2c9a1b77",
        created_at=datetime(2026, 3, 9, 23, 59, tzinfo=UTC),
        revision=3,
        metadata={"sku": "A-1"},
        original=Original(blob="b", name="C:\\photos\\My cat.JPG", media_type="image/jpeg", bytes=1, sha256="0" * 64),
    )

    (file,) = plan_export(job, template)

    assert file.key.split("|") == [
        "019392f0-7c1e-7d4a-b4d8-0f5e2c9a1b77", "card", "jpg", "@2x", "My_cat", "2026/03/09", "5" * 64, "3", "A-1",
    ]  # fmt: skip


def test_a_file_for_two_densities_has_two_keys_and_of_two_equal_formats_the_later_one_counts() -> None:
    both = variant(variants=[variant(dpr=1), variant(dpr=2), variant(blob="later")])

    files = plan_export(job_of({"card": both}), "{rendition}{dpr}.{ext}")

    assert {file.key: file.blob for file in files} == {"card.jpg": "later", "card@2x.jpg": "b"}


def test_metadata_that_is_missing_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"metadata\.sku"):
        plan_export(job_of({"card": variant()}), "{metadata.sku}/{rendition}.{ext}")

    assert render("{rendition}", {"rendition": "card"}) == "card"
