"""A short run of the fuzzer, the same each time; `./run fuzz` goes on where this one ends."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from itertools import islice

import pytest

from stages.formats import ACCEPTED_FORMATS
from tests.tools.fuzz.fuzzer import generate_mutants
from tests.tools.fuzz.pool import FAULTS, Input, InputLimits, Pool

INPUTS, SEED = 400, 0


def harm(original: bytes, tell: Callable[[str], None]) -> str:
    tell("harm")
    match original:
        case b"crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case b"hang":
            time.sleep(60)
        case b"exception":
            raise KeyError(original)
        case b"memory":
            return str(len(b"x" * (200 << 20)))
    return ""


def test_the_watch_finds_every_fault_and_lays_it_to_its_input() -> None:
    asked = ["done", "crash", "exception", "hang", "memory", "done", "crash", "done"]
    inputs = (Input(str(number), kind, kind.encode()) for number, kind in enumerate(asked))

    with Pool((), InputLimits(seconds=5, resident=100 << 20), trial=harm, children=2) as pool:
        results = list(pool.results(inputs))

    found = {result.input.name: (result.kind, result.input.format, result.stage) for result in results}
    assert found == {str(number): (kind, kind, "harm") for number, kind in enumerate(asked)}
    assert {result.detail for result in results if result.kind == "crash"} == {"SIGSEGV in harm"}
    assert all("harm" in result.trace for result in results if result.kind in ("crash", "exception", "hang"))


@pytest.mark.parametrize("name", ACCEPTED_FORMATS)
def test_a_seed_always_gives_the_same_mutants(name: str) -> None:
    alone = [given.content for given in islice(generate_mutants(7, (name,)), 20)]
    among = [
        given.content
        for given in islice(generate_mutants(7, ACCEPTED_FORMATS), 20 * len(ACCEPTED_FORMATS))
        if given.format == name
    ]

    assert alone == among
    assert len(set(alone)) > 10


@pytest.mark.timeout(60)
def test_mutated_files_are_taken_or_refused_and_nothing_else() -> None:
    with Pool(ACCEPTED_FORMATS, InputLimits()) as pool:
        results = list(pool.results(islice(generate_mutants(SEED, ACCEPTED_FORMATS), INPUTS)))

    faults = [f"{result.input.name}: {result.detail}\n{result.trace}" for result in results if result.kind in FAULTS]
    assert not faults, "\n".join(faults)
    assert Counter(result.kind for result in results).keys() == {"done", "refused"}
    assert len(results) == INPUTS
