"""What sampled stacks belong to: each to the component of the innermost function that a rule knows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

DECODING, RESAMPLING, ENCODING, COLOURS = "decoding", "resampling", "encoding", "colours"
PIXELS = frozenset({DECODING, RESAMPLING, ENCODING, COLOURS})
"""The components that run in C without the interpreter's lock, which samples of that lock do not see."""
REST = "the rest: event loops, threads, interpreter"
SERVERS = {"redis": "Redis", "mongo": "the embedded Mongo"}
"""Processes that are a component as a whole."""

# A function that no rule knows, such as those of json, contextlib and pydantic, belongs to what calls it.
RULES: Sequence[tuple[str, str]] = (
    (COLOURS, r"stages/colour/|PIL/ImageCms"),
    (RESAMPLING, r"stages/scale\.py|cykooz_resizer/|^Image\.(resize|reduce) \(PIL"),
    (ENCODING, r"^(_save|_encode\w*|Image\.save) \(PIL/|stages/(formats|rendition)\.py"),
    (DECODING, r"stages/(decode|jpeg|orientation|png|webp|gif|tiff|heif|bmp)|PIL/(ImageFile|\w+ImagePlugin)\.py"),
    ("images: headers, masters, placeholder", r"stages/(?!system_errors)|PIL/"),
    ("logs, metrics, traces", r"structlog/|logging/|prometheus_client/|opentelemetry/"),
    ("logs, metrics, traces", r"pipeline/(logs|metrics|telemetry)|gateway/metrics"),
    ("blobs: files written, read, removed", r"storage/blob|obstore/|submission/upload_stream"),
    ("blobs: files written, read, removed", r"pipeline/(stage_blobs|blob_reserve|original_meter)"),
    ("documents: pymongo, motor, beanie", r"pymongo/|motor/|beanie/|bson/|^\S+ \(storage/"),
    ("messages: Redis clients and kombu", r"kombu/|redis/|hiredis/|amqp/|vine/"),
    ("messages: Redis clients and kombu", r"pipeline/(broker/|notifications|backend)"),
    ("Celery and its pools", r"celery/|billiard/"),
    ("HTTP: uvicorn, FastAPI, multipart", r"uvicorn/|fastapi/|starlette/|multipart|httptools"),
    ("HTTP: uvicorn, FastAPI, multipart", r"gateway/(server|middleware)/"),
    ("Darkroom's own Python", r"pipeline/|gateway/"),
)
_RULES = [(component, re.compile(rule)) for component, rule in RULES]


def count_components(folded: str) -> Counter[str]:
    """Count the samples of each component. A line has a stack, from the outermost function on, and a number."""
    found: Counter[str] = Counter()
    for line in folded.splitlines():
        stack, _, count = line.rpartition(" ")
        if stack:
            found[component_of(stack)] += int(count)
    return found


def component_of(stack: str) -> str:
    """Return the component of a stack."""
    for function in reversed(stack.split(";")):
        for component, rule in _RULES:
            if rule.search(function):
                return component
    return REST


def divide_cpu(
    process: str, cpu_ms: float, samples: Mapping[str, int], pixels: Mapping[str, float]
) -> dict[str, float]:
    """Divide the CPU of a process: that of pixels is known, the rest is divided as samples of the interpreter are."""
    if process in SERVERS:
        return {SERVERS[process]: cpu_ms}
    scale = min(1.0, cpu_ms / (sum(pixels.values()) or 1.0))  # a short run can measure less than the pixels alone
    known = {name: ms * scale for name, ms in pixels.items()}
    rest, seen = cpu_ms - sum(known.values()), {name: n for name, n in samples.items() if name not in PIXELS}
    if not seen:
        return known | {REST: rest}
    return known | {name: rest * count / sum(seen.values()) for name, count in seen.items()}


def add_up(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the sum of each component, the largest first."""
    sums: Counter[str] = Counter()
    for part in parts:
        sums.update(part)
    return dict(sums.most_common())
