"""What a site's users send: 60 % of 12 megapixels, 25 % of 2, and of 24, PNG with alpha and WebP 5 % each."""

from __future__ import annotations

from tests.tools.bench.bench import Bench, Figures
from tests.tools.bench.load import run_load
from tests.tools.bench.services import start_darkroom

JOBS = 200


def run(bench: Bench) -> Figures:
    """Drive the mix."""
    photos = bench.corpus.photos("mix")
    with start_darkroom(bench, "mix") as system:
        sample = run_load(system, photos, jobs=bench.jobs(JOBS), in_flight=bench.options.in_flight)
    bench.show_samples("mix", [("mix", sample)])
    bench.show_costs("mix", sample)
    return sample.figures()
