"""What no pipeline can go under: one decode at scale and three encodes, in one process, and nothing else."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence

from PIL import Image

from stages.formats import encode
from stages.scale import fit_size
from tests.tools.bench.bench import Bench, Figures
from tests.tools.bench.load import run_load
from tests.tools.bench.scenarios.quality import EDGES
from tests.tools.bench.systems import run_darkroom

JOBS, ROUNDS = 60, 3


def run(bench: Bench) -> Figures:
    """Measure the floor, drive the same photos through Darkroom, and compare."""
    photos = bench.corpus.photos("12mp")
    decode, encodes = min((_floor(photos) for _ in range(ROUNDS)), key=sum)  # what disturbs only ever adds
    with run_darkroom(bench.folder("floor")) as system:
        sample = run_load(system, photos, jobs=bench.jobs(JOBS), in_flight=bench.options.in_flight)
    share = (decode + encodes) / sample.cpu_ms
    rows = [
        ("decode at scale", decode, decode / sample.cpu_ms * 100),
        ("three encodes", encodes, encodes / sample.cpu_ms * 100),
        ("floor", decode + encodes, share * 100),
        ("Darkroom, all processes", sample.cpu_ms, 100.0),
    ]
    bench.show("CPU for a photo of 12 megapixels", ["", "ms", "%"], rows)
    return {"decode_ms": decode, "encode_ms": encodes, "share": share, "darkroom": sample.figures()}


def _floor(photos: Sequence[bytes]) -> tuple[float, float]:
    """Return the mean CPU time of the decode and of the encodes, in milliseconds."""
    decode = encodes = 0.0
    for photo in photos:
        start = time.process_time()
        with Image.open(io.BytesIO(photo)) as picture:
            picture.draft("RGB", fit_size(picture.size, max(EDGES)))
            picture.load()
        decode += time.process_time() - start
        scaled = [picture.resize(fit_size(picture.size, edge)) for edge in EDGES]
        start = time.process_time()
        for each in scaled:
            encode(each, "jpeg")
        encodes += time.process_time() - start
    return decode * 1000 / len(photos), encodes * 1000 / len(photos)
