"""How close each preview comes to the best that can be made of the original, at any cost."""

from __future__ import annotations

import io
from collections.abc import Iterable
from statistics import mean

from PIL import Image, ImageCms, ImageOps

from stages.formats import encode
from stages.limits import Limits
from stages.normalize import Master, build_master_pyramid
from stages.rendition_spec import RenditionSpec
from stages.resize import resize
from tests.tools.bench.bench import Bench, Figures
from tests.tools.bench.similarity import psnr, ssim

EDGES = (160, 640, 1600)
SETS = {"12mp": 6, "24mp": 1, "2mp": 3, "webp": 1}  # how many of each; photos with alpha are left out
Similarity = tuple[float, float, float, float]


def run(bench: Bench) -> Figures:
    """Compare the stages' own pixels, and then both after JPEG at the same quality."""
    compared: dict[int, list[Similarity]] = {edge: [] for edge in EDGES}
    for name, count in SETS.items():
        for photo in bench.corpus.photos(name)[:count]:
            for edge, likeness in compare_previews(photo).items():
                compared[edge].append(likeness)
    columns = ("ssim", "psnr_db", "ssim_encoded", "psnr_db_encoded")
    found: Figures = {}
    for edge, each in compared.items():
        by_column = dict(zip(columns, zip(*each, strict=True), strict=True))
        found[str(edge)] = {name: {"min": min(of), "mean": mean(of)} for name, of in by_column.items()}
    headings = [
        "edge",
        "SSIM least",
        "mean",
        "PSNR dB least",
        "mean",
        "JPEG: SSIM least",
        "mean",
        "PSNR dB least",
        "mean",
    ]
    rows = [
        (name, *(f"{value:.4f}" if "ssim" in column else value for column in columns for value in of[column].values()))
        for name, of in found.items()
    ]
    bench.show(f"{len(compared[EDGES[0]])} photos, against full decode and one step of LANCZOS", headings, rows)
    return found


def compare_previews(photo: bytes, edges: Iterable[int] = EDGES) -> dict[int, Similarity]:
    """Return for each edge SSIM and PSNR of the pixels, and both again once encoded."""
    specs = {str(edge): RenditionSpec(edge=edge) for edge in edges}
    masters = build_master_pyramid(photo, specs=specs, limits=Limits())
    best = _upright(photo)
    return {int(edge): _likeness(master, best) for edge, master in masters.items()}


def _likeness(master: Master, best: Image.Image) -> Similarity:
    made, wanted = master.image(), best.resize((master.width, master.height), Image.Resampling.LANCZOS)
    (variant,) = resize(master, RenditionSpec(edge=max(master.width, master.height), formats=("jpeg",)))
    sent = _decoded(variant.rendition.content)
    could = _decoded(encode(wanted, "jpeg"))
    return ssim(made, wanted), psnr(made, wanted), ssim(sent, could), psnr(sent, could)


def _upright(photo: bytes) -> Image.Image:
    """Decode in full, in sRGB at full size, by Pillow alone."""
    with Image.open(io.BytesIO(photo)) as opened:
        profile = opened.info.get("icc_profile")
        picture = ImageOps.exif_transpose(opened).convert("RGB")
    if not profile:
        return picture
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"))
    return converted or picture


def _decoded(content: bytes) -> Image.Image:
    with Image.open(io.BytesIO(content)) as opened:
        opened.load()
        return opened
