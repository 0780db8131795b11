"""What each setting of each encoder makes of a photo: bytes, likeness and time, beside a JPEG at quality 80."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from statistics import fmean, median

from PIL import Image

from tests.tools.bench.bench import Bench, Figures
from tests.tools.bench.encoders import REFERENCE, SETTINGS, Encoded, Setting, match_quality, measure, reference_ssim

EDGES = (160, 400, 800, 1600)
PHOTOS = 2  # of drawn ones; of given ones all
MATCHED = ("webp", "avif")


def run(bench: Bench) -> Figures:
    """Encode every photo at every size with every setting, and find the qualities that look like the JPEG."""
    photos = bench.corpus.pictures(bench.options.jobs or (None if bench.options.photos else PHOTOS), max(EDGES))
    found: Figures = {"photos": len(photos)}
    for edge in EDGES:
        scaled = [_scale(photo, edge) for photo in photos]
        measured = compare(scaled, SETTINGS)
        headings = ["", "bytes", "of JPEG's", "SSIM mean", "least", "CPU ms", "of JPEG's", "most", "wall ms"]
        rows = [(name, *summary.values()) for name, summary in measured.items()]
        bench.show(f"{len(photos)} photos at {edge} pixels", headings, [_readable(row) for row in rows])
        matched = {name: _match(scaled, name) for name in MATCHED}
        bench.show("qualities as alike as that JPEG", ["", "least", "median", "most"], list(map(_row, matched.items())))
        found[str(edge)] = {"settings": measured, "qualities": matched}
    return found


def compare(photos: Sequence[Image.Image], settings: Sequence[Setting]) -> dict[str, dict[str, float]]:
    """Return for each setting its means over the photos, and as shares of those of REFERENCE."""
    # All settings take turns on a photo: whatever slows the machine down slows each of them down.
    by_photo = [{setting.name: measure(photo, setting) for setting in (REFERENCE, *settings)} for photo in photos]
    reference = [each[REFERENCE.name] for each in by_photo]
    return {setting.name: _summary([each[setting.name] for each in by_photo], reference) for setting in settings}


def _summary(found: Sequence[Encoded], reference: Sequence[Encoded]) -> dict[str, float]:
    means, usual = _means(found), _means(reference)
    return {
        "bytes": means["size_bytes"],
        "bytes_share": means["size_bytes"] / usual["size_bytes"],
        "ssim": means["ssim"],
        "ssim_least": min(each.ssim for each in found),
        "cpu_ms": means["cpu_ms"],
        "cpu_share": means["cpu_ms"] / usual["cpu_ms"],
        "cpu_ms_most": max(each.cpu_ms for each in found),
        "wall_ms": means["wall_ms"],
    }


def _means(found: Sequence[Encoded]) -> dict[str, float]:
    figures = [asdict(each) for each in found]
    return {name: fmean(each[name] for each in figures) for name in figures[0]}


def _match(photos: Sequence[Image.Image], format: str) -> dict[str, float]:  # noqa: A002
    qualities = [match_quality(photo, format, reference_ssim(photo)) for photo in photos]
    return {"least": min(qualities), "median": median(qualities), "most": max(qualities)}


def _scale(photo: Image.Image, edge: int) -> Image.Image:
    scaled = photo.copy()
    scaled.thumbnail((edge, edge), Image.Resampling.LANCZOS)
    return scaled


def _readable(row: tuple[object, ...]) -> tuple[object, ...]:
    """Write the likeness with four digits: format_figure leaves three."""
    name, size, share, mean, least, *times = row
    return name, round(float(str(size))), share, f"{mean:.4f}", f"{least:.4f}", *times


def _row(matched: tuple[str, dict[str, float]]) -> tuple[object, ...]:
    return matched[0], *(round(value) for value in matched[1].values())
