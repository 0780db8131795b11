"""python -m tests.tools.bench.peak_child RUN ORIGINAL WIDTH HEIGHT: run one stage as a worker does; print its peak."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pipeline.tasks  # noqa: F401  a worker imports as much
from pipeline.settings import Settings
from stages.animate import animate
from stages.crop import crop
from stages.fit import fit
from stages.formats import MEMORY_INTENSIVE_MAX_PIXELS
from stages.grayscale import grayscale
from stages.normalize import Master, build_master_pyramid
from stages.rendition_spec import RenditionSpec
from stages.resize import resize
from stages.validate import validate
from storage.blobs import Blobs
from tests.tools.bench.originals import noise

Size = tuple[int, int]
Read = Callable[[], bytes]
SETTINGS = Settings()
LIMITS, EDGES = SETTINGS.limits, SETTINGS.renditions


def main(run: str, original: Path, size: Size) -> None:
    """Print what `measure` returns."""
    json.dump(measure(run, original, size), sys.stdout)


def measure(run: str, original: Path, size: Size) -> dict[str, int]:
    """Return the memory of this process before a run and at most, in bytes. `size` is that of the image as displayed.

    Raises StageError if the stage refuses the original.
    """
    blobs, output = Blobs.open(original.parent.as_uri()), original.with_suffix(".output").name
    clear_peak()
    base, base_data = read_memory("VmRSS"), read_memory("VmData")
    blobs.put(output, RUNS[run](partial(blobs.get, original.name), size))
    peak = read_memory("VmHWM")
    blobs.remove("", [output])
    return {"base": base, "base_data": base_data, "peak": peak}


def read_memory(name: str, process: int | str = "self") -> int:
    """Return a figure of a process's status in bytes, 0 once it has ended; `ru_maxrss` starts at the parent's."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), 0)


def clear_peak() -> None:
    """Begin to record the peak anew: proc(5), clear_refs."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _validate(read: Read, _: Size) -> bytes:
    validate(read(), limits=LIMITS)
    return b""


def _normalize(read: Read, _: Size) -> bytes:
    specs = {name: RenditionSpec(edge=edge) for name, edge in EDGES.items()}
    masters = build_master_pyramid(read(), specs=specs, limits=LIMITS)
    return b"".join(master.pixels for master in masters.values())


def _resize(_: Read, __: Size, *, format: str) -> bytes:  # noqa: A002
    edge = max(EDGES.values())
    master = Master("RGBA", edge, edge, noise("RGBA", (edge, edge)).tobytes())
    (variant,) = resize(master, RenditionSpec(edge=edge, formats=(format,)))
    return variant.rendition.content


def _animate(read: Read, _: Size, *, format: Any) -> bytes:  # noqa: A002
    return animate(read(), edge=max(EDGES.values()), limits=LIMITS, format=format).content


def _crop(read: Read, size: Size, *, format: str) -> bytes:  # noqa: A002
    width, height = size
    if format in ("webp", "avif"):
        height = min(height, MEMORY_INTENSIVE_MAX_PIXELS // width)
    return crop(read(), left=0, top=0, width=width - 1, height=height, limits=LIMITS, format=format).content


def _grayscale(read: Read, _: Size, *, format: str) -> bytes:  # noqa: A002
    return grayscale(read(), limits=LIMITS, format=format).content


def _stretch(read: Read, size: Size, *, format: str) -> bytes:  # noqa: A002
    """Swap width and height: both images have the largest size."""
    return fit(read(), width=size[1], height=size[0], fit="fill", enlarge=True, limits=LIMITS, format=format).content


def _contain(read: Read, _: Size, *, format: str) -> bytes:  # noqa: A002
    return fit(read(), width=1600, height=1600, limits=LIMITS, format=format).content


RUNS: dict[str, Callable[[Read, Size], bytes]] = {
    "validate": _validate,
    "normalize": _normalize,
    **{f"resize {name}": partial(_resize, format=name) for name in ("jpeg", "png", "webp", "avif")},
    **{f"animate {name}": partial(_animate, format=name) for name in ("webp", "gif")},
    **{f"crop {name}": partial(_crop, format=name) for name in ("jpeg", "png", "webp", "avif")},
    **{f"grayscale {name}": partial(_grayscale, format=name) for name in ("jpeg", "png")},
    **{f"fill {name}": partial(_stretch, format=name) for name in ("jpeg", "png")},
    **{f"contain {name}": partial(_contain, format=name) for name in ("png",)},
}

if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), (int(sys.argv[3]), int(sys.argv[4])))
