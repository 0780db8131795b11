"""From 1 to 50 megapixels, one photo at a time: what a larger original costs."""

from __future__ import annotations

from tests.tools.bench.bench import Bench, Figures
from tests.tools.bench.corpus import SIZE_BY_MEGAPIXELS
from tests.tools.bench.load import run_load
from tests.tools.bench.systems import run_darkroom

JOBS, WARM = 10, 2


def run(bench: Bench) -> Figures:
    """Send each size some times."""
    found: Figures = {}
    rows = []
    with run_darkroom(bench.folder("growth")) as system:
        for megapixels in SIZE_BY_MEGAPIXELS:
            photos = bench.corpus.photos(str(megapixels))
            sample = run_load(system, photos, jobs=bench.jobs(JOBS), in_flight=1, warm=WARM)
            each = found[str(megapixels)] = sample.figures() | {"upload_kib": len(photos[0]) // 1024}
            runs = [each["stages"][stage]["run_ms"] for stage in ("validate", "normalize", "large")]
            rows.append((f"{megapixels} MP", len(photos[0]) // 1024, sample.p50_ms, sample.cpu_ms, *runs))
    headings = ["", "upload KiB", "p50 ms", "CPU ms/job", "validate runs ms", "normalize", "large"]
    bench.show("growth", headings, rows)
    return found
