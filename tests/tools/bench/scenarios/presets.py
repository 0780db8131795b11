"""The preset of a shop, seven files of each photo of 12 megapixels, by Darkroom and a peer in turn."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from statistics import fmean, median

from PIL import Image

from pipeline.routing import QUEUES
from tests.tools.bench import peer, product
from tests.tools.bench.bench import Bench, Figures
from tests.tools.bench.load import BenchClient, run_load
from tests.tools.bench.product import Likeness
from tests.tools.bench.sample import Sample
from tests.tools.bench.scenarios.race import show_ratios, start_peers
from tests.tools.bench.systems import Darkroom, run_darkroom

JOBS, ROUNDS, ALONE = 40, 3, 1
WARM = 2  # with its defaults, the peer takes seconds for a photo
COMPARED = 4
ON_SHEET = 40
WORKERS = {*QUEUES, "worker"}
"""The processes that work on images, of Darkroom and of the peer."""
OVERLAY = Path(__file__).parent.parent / "peer_presets"
SHEET = "presets.png"
LIKE_OURS = {"AVIF_EFFORT": "0", "AVIF_420": "1"}
"""The AVIF encoder of the tuned peer: libaom's speed 9 and halved chroma, as Darkroom's."""


def run(bench: Bench) -> Figures:
    """Drive one system after the other, round after round, then compare their files and look at all of Darkroom's."""
    file = product.write_preset(bench.folder("presets"))
    logo = {"LOGO": str(file.with_name("logo.png"))}
    added = {peer.DEFAULTS: logo, peer.TUNED: logo | LIKE_OURS}
    tunings = {name: peer.Tuning({**peer.TUNINGS[name].environment, **more}, OVERLAY) for name, more in added.items()}
    with ExitStack() as resources:
        darkroom = resources.enter_context(run_darkroom(bench.folder("darkroom"), presets=file, preset=product.NAME))
        peers = start_peers(bench, resources, tunings)
        systems: list[Darkroom | peer.Peer] = [darkroom, *peers]
        rounds = _drive(bench, systems)
        likenesses = {system.name: _compare(bench, system) for system in systems}
        checked = _check(bench, darkroom, rounds[-1][0])
    for sample in rounds[-1]:
        bench.show_costs(sample.system, sample)
    costs = _show_costs(bench, rounds)
    _show_likenesses(bench, likenesses)
    return {
        "rounds": [[sample.figures() for sample in samples] for samples in rounds],
        "ratios": show_ratios(bench, rounds),
        "cpu_ms_a_file": costs,
        "files": {
            system: {name: {"bytes": each.bytes, "ssim": each.ssim} for name, each in found.items()}
            for system, found in likenesses.items()
        },
        "checked_jobs": checked,
    }


def _photos(bench: Bench) -> Sequence[bytes]:
    """Return photos; drawn ones are alike, so half as many will do."""
    return bench.corpus.photos("shop" if bench.options.photos else "12mp")


def _drive(bench: Bench, systems: Sequence[Darkroom | peer.Peer]) -> list[list[Sample]]:
    photos, rounds = _photos(bench), []
    for number in range(bench.options.rounds or (ROUNDS if len(systems) > 1 else ALONE)):
        jobs, in_flight = bench.jobs(JOBS), bench.options.in_flight
        samples = [run_load(system, photos, jobs=jobs, in_flight=in_flight, warm=WARM) for system in systems]
        bench.show_samples(f"round {number + 1}", [(each.system, each) for each in samples])
        rounds.append(samples)
    return rounds


def _compare(bench: Bench, system: Darkroom | peer.Peer) -> dict[str, Likeness]:
    """Return the means over some photos of what each file is like."""
    photos = [photo for photo in _photos(bench) if not _has_profile(photo)][:COMPARED]
    found = []
    for photo in photos:
        with closing(BenchClient(system)) as visitor:
            job = visitor.send(photo)
            status = visitor.wait_until_done(job)
        files = _fetch(system, status) if isinstance(system, Darkroom) else _read(system.folder / job)
        product.check_files(files)
        found.append(product.compare_files(photo, files))
    return {
        name: Likeness(round(fmean(each[name].bytes for each in found)), fmean(each[name].ssim for each in found))
        for name in product.FILES
    }


def _has_profile(photo: bytes) -> bool:
    with Image.open(io.BytesIO(photo)) as opened:
        return "icc_profile" in opened.info


def _fetch(system: Darkroom, status: Mapping[str, object]) -> dict[str, bytes]:
    with closing(HTTPConnection(system.host, system.port)) as connection:
        files = {}
        for name, url in product.list_urls(status):
            connection.request("GET", url)
            response = connection.getresponse()
            files[name] = response.read()
            if response.status != 200:
                raise RuntimeError(f"GET {url}: {response.status}")
    return files


def _read(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in product.FILES if (folder / name).exists()}


def _check(bench: Bench, system: Darkroom, sample: Sample) -> int:
    """Fetch and check every file of every job, and draw a sheet of cards."""
    cards = []
    for ended in sample.ended:
        files = _fetch(system, ended.answer)
        product.check_files(files)
        cards.append(files["card.jpg"])
    sheet = bench.options.json.with_name(SHEET)
    sheet.parent.mkdir(parents=True, exist_ok=True)
    product.draw_sheet(cards[:ON_SHEET]).save(sheet)
    bench.say(f"{len(cards)} jobs: every file is there, can be decoded and has its size. {sheet} shows cards.")
    return len(cards)


def _show_costs(bench: Bench, rounds: Sequence[Sequence[Sample]]) -> dict[str, dict[str, float]]:
    """Tell what a file costs. The workers count alone, too: a peer answers questions about its jobs again and again."""
    costs = {}
    for samples in zip(*rounds, strict=True):
        pairs = zip(rounds, samples, strict=True)
        ratios = [_workers_cpu_ms(darkroom) / _workers_cpu_ms(other) for (darkroom, *_), other in pairs]
        costs[samples[0].system] = {
            "all_ms": median(each.cpu_ms for each in samples) / len(product.FILES),
            "workers_ms": median(_workers_cpu_ms(each) for each in samples) / len(product.FILES),
            "ratio_of_workers": median(ratios),
        }
    rows = [(system, *each.values()) for system, each in costs.items()]
    headings = ["", "all processes, ms", "workers, ms", "Darkroom's workers to these"]
    bench.show("CPU for one file, medians of the rounds", headings, rows)
    return costs


def _workers_cpu_ms(sample: Sample) -> float:
    return sum(ms for name, ms in sample.cpu_by_process.items() if name in WORKERS)


def _show_likenesses(bench: Bench, found: Mapping[str, Mapping[str, Likeness]]) -> None:
    headings = ["", *(f"{system}: {what}" for system in found for what in ("bytes", "SSIM"))]
    rows = [
        (name, *(value for files in found.values() for value in (files[name].bytes, f"{files[name].ssim:.4f}")))
        for name in product.FILES
    ]
    bench.show("files, means", headings, rows)
