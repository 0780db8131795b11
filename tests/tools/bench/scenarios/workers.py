"""One process for each stage, and two for those that work on pixels."""

from __future__ import annotations

from tests.tools.bench.bench import Bench, Figures
from tests.tools.bench.load import run_load
from tests.tools.bench.systems import run_darkroom

JOBS = 80
SIZES = (1, 2)


def run(bench: Bench) -> Figures:
    """Drive the same photos through both."""
    samples = []
    photos = bench.corpus.photos("12mp")
    for size in SIZES:
        with run_darkroom(bench.folder("workers"), pools={"normalize": size, "resize": size}) as system:
            sample = run_load(system, photos, jobs=bench.jobs(JOBS), in_flight=bench.options.in_flight)
        samples.append((f"normalize:{size}, resize:{size}", sample))
    bench.show_samples("workers", samples)
    gain = samples[-1][1].rate / samples[0][1].rate
    bench.say(f"two of each do {gain:.2f} times what one of each does")
    return {name: sample.figures() for name, sample in samples} | {"gain": round(gain, 3)}
