"""A stage holds no decoder and no copy longer than it needs it: the peak of its memory is bounded, by the pixel."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import ROOT
from tests.tools.bench.originals import ORIGINALS

BAR, SQUARE = (2896, 724), (1448, 1448)  # 2 megapixels each
MARGIN = 1.5  # bytes a pixel: 3 MiB
BOUNDS = {  # bytes a pixel, as measured; an image of RGB or RGBA has 4 itself
    ("crop jpeg", "webp lossless alpha", BAR): 12,
    ("crop jpeg", "avif alpha", BAR): 14,
    ("crop jpeg", "jpeg progressive", BAR): 10,
    ("crop jpeg", "gif", BAR): 8.2,
    ("grayscale jpeg", "png 16 bit alpha", BAR): 8,
    ("crop avif", "webp lossless alpha", BAR): 34,  # of noise, as the next; deploy/generate/worker_memory.py assumes 45
    ("crop webp", "webp lossless alpha", BAR): 41.5,
    ("fill jpeg", "png alpha", BAR): 13,  # without SIMD; 10 with it
    ("animate gif", "avif animated", SQUARE): 22,
}
# Without this, malloc keeps freed memory, and a run would seem to need nothing.
RETURN_FREED_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}
MEASURE = """
import json, sys
from pathlib import Path
from stages.validate import validate
from tests.tools.bench.peak_child import LIMITS, measure
for run, name in json.load(sys.stdin):
    original = Path(name)
    facts = validate(original.read_bytes(), limits=LIMITS)
    measure(run, original, (facts.width, facts.height))  # the first run fills caches
    found = measure(run, original, (facts.width, facts.height))
    print((found["peak"] - found["base"]) / (facts.width * facts.height))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process the peak of its memory")
def test_no_stage_needs_more_memory_a_pixel_than_was_measured(tmp_path: Path) -> None:
    runs = [(run, tmp_path / original) for run, original, _ in BOUNDS]
    for (_, original, size), (_, file) in zip(BOUNDS, runs, strict=True):
        file.write_bytes(ORIGINALS[original](size))

    done = subprocess.run(
        [sys.executable, "-c", MEASURE],
        input=json.dumps(runs, default=str),
        cwd=ROOT,
        env=RETURN_FREED_MEMORY,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
    )

    found = dict(zip(BOUNDS, map(float, done.stdout.split()), strict=True))
    assert {case: peak for case, peak in found.items() if peak > BOUNDS[case] + MARGIN} == {}
