"""What sampled stacks belong to, and how the CPU of a process is divided."""

from __future__ import annotations

import pytest

from tests.tools.bench.profile_components import REST, add_up, component_of, count_components, divide_cpu

ROOT = "main (celery/bin/celery.py:232);run_stage (pipeline/stage_run.py:60)"


@pytest.mark.parametrize(
    ("stack", "component"),
    [
        ("Ledger.claim (storage/ledger.py:9);Collection.update_one (pymongo/collection.py:3)", "documents"),
        ("Ledger.claim (storage/ledger.py:9)", "documents"),
        ("Blobs.put (storage/blobs.py:9);PurePath.parse (pathlib.py:3)", "blobs"),
        ("Producer.publish (kombu/messaging.py:1);dumps (json/__init__.py:2)", "messages"),
        ("scale (stages/scale.py:4);check_memory (stages/system_errors.py:5)", "resampling"),
        ("scale (stages/scale.py:4)", "resampling"),
        ("encode (stages/formats.py:4);_encode_tile (PIL/ImageFile.py:5)", "encoding"),
        ("decode (stages/decode.py:4);load (PIL/ImageFile.py:5)", "decoding"),
        ("convert (stages/colour/convert.py:4);apply (PIL/ImageCms.py:5)", "colours"),
        ("claim (pipeline/stage_run.py:1);model_validate (pydantic/main.py:3)", "Darkroom's own"),
    ],
)
def test_the_innermost_function_that_a_rule_knows_decides(stack: str, component: str) -> None:
    assert component_of(f"{ROOT};{stack}").startswith(component)


def test_samples_are_counted_and_what_no_rule_knows_is_the_rest() -> None:
    folded = "run (threading.py:3) 4\nrun (threading.py:3);emit (logging/__init__.py:9) 2\n\n"

    assert count_components(folded) == {REST: 4, "logs, metrics, traces": 2}


def test_the_cpu_is_that_of_pixels_and_the_rest_is_divided_as_the_samples_are() -> None:
    samples = {"decoding": 9, "messages": 3, "documents": 1}

    found = divide_cpu("normalize", 50.0, samples, {"decoding": 30.0})

    assert found == {"decoding": 30, "messages": 15, "documents": 5}


def test_pixels_never_take_more_than_there_is() -> None:
    found = divide_cpu("normalize", 20.0, {"messages": 1}, {"decoding": 30.0, "colours": 10.0})

    assert found == {"decoding": 15, "colours": 5, "messages": 0}


def test_a_process_without_samples_is_the_rest_and_a_server_is_itself() -> None:
    assert divide_cpu("transform", 2.0, {}, {}) == {REST: 2}
    assert divide_cpu("mongo", 20.0, {"documents": 5}, {}) == {"the embedded Mongo": 20}
    assert add_up([{"a": 1.0, "b": 2.0}, {"a": 3.0}]) == {"a": 4, "b": 2}
