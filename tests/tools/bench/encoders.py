"""The settings of the encoders that are compared, and what one of them makes of one picture at which cost."""

from __future__ import annotations

import io
import itertools
import time
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from stages.formats import DEFAULT_QUALITY, encode
from tests.tools.bench.similarity import ssim

ROUNDS = 3
ENOUGH_SECONDS = 0.5  # a slow encoder is not disturbed as easily, and is run once
SUBSAMPLING = {"jpeg": {"subsampling": "4:2:0"}, "avif": {"subsampling": "4:2:0"}}  # as WebP always has it


@dataclass(frozen=True, slots=True)
class Setting:
    """An encoder and its options; without any, whatever the stages use."""

    format: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the format and its options in words."""
        if not self.options:
            return f"{self.format} as in use"
        return " ".join([self.format, *itertools.starmap(_word, self.options.items())])

    def encode(self, image: Image.Image) -> bytes:
        """Return the encoded image."""
        if not self.options:
            return encode(image, self.format)
        content = io.BytesIO()
        image.save(content, self.format, **SUBSAMPLING.get(self.format, {}) | self.options)
        return content.getvalue()


def _word(option: str, value: object) -> str:
    """Return an option in words; a quality speaks for itself."""
    words = option.replace("_", " ")
    if isinstance(value, bool):
        return words if value else f"without {words}"
    return str(value) if option == "quality" else f"{words} {value}"


JPEG: dict[str, Any] = {"quality": 80}
REFERENCE = Setting("jpeg", JPEG)
"""The setting that others are compared with."""


def _avif(speed: int, threads: int = 1, quality: int = 60, **more: Any) -> Setting:
    options = {"quality": quality, "speed": speed, "max_threads": threads, **more}
    return Setting("avif", options)


SETTINGS: tuple[Setting, ...] = (
    REFERENCE,
    *(Setting("jpeg", JPEG | more) for more in ({"optimize": True}, {"progressive": True})),
    Setting("jpeg", JPEG | {"progressive": True, "optimize": True}),
    *(Setting("webp", {"quality": 80, "method": method}) for method in range(7)),
    *(Setting("webp", {"quality": 75, "method": method}) for method in (2, 4, 6)),
    *(_avif(speed) for speed in range(4, 11)),
    *(_avif(speed, 2) for speed in (6, 8, 9)),
    *(_avif(speed, autotiling=False) for speed in (6, 8, 9)),
    *(_avif(speed, quality=quality) for speed in (8, 9) for quality in (50, 55, 65)),
    *(Setting("png", {"compress_level": level}) for level in (1, 3, 4, 6, 9)),
    *(Setting(name) for name in ("jpeg", "webp", "avif", "png")),
)


@dataclass(frozen=True, slots=True)
class Encoded:
    """What a setting made of a picture, and what it cost: the least of several runs, as a disturbance only adds."""

    size_bytes: int
    ssim: float
    cpu_ms: float
    wall_ms: float


def measure(image: Image.Image, setting: Setting) -> Encoded:
    """Encode a picture with a setting, several times if it is fast."""
    runs: list[tuple[float, float]] = []
    content = b""
    while len(runs) < ROUNDS and sum(wall for _, wall in runs) < ENOUGH_SECONDS:
        cpu, wall = time.process_time(), time.perf_counter()
        content = setting.encode(image)
        runs.append((time.process_time() - cpu, time.perf_counter() - wall))
    cpu, wall = (min(each) * 1000 for each in zip(*runs, strict=True))
    return Encoded(len(content), ssim(image, decode(content)), cpu, wall)


def match_quality(image: Image.Image, format: str, wanted: float) -> int:  # noqa: A002
    """Return the lowest quality, 1 to 100, at which the stages' encoder reaches an SSIM; 100 if it never does."""
    low, high = 1, 100
    while low < high:
        middle = (low + high) // 2
        if ssim(image, decode(encode(image, format, middle))) < wanted:
            low = middle + 1
        else:
            high = middle
    return low


def reference_ssim(image: Image.Image) -> float:
    """Return the SSIM of a JPEG at the stages' own quality."""
    return ssim(image, decode(encode(image, "jpeg", DEFAULT_QUALITY["jpeg"])))


def decode(content: bytes) -> Image.Image:
    """Decode to RGB."""
    with Image.open(io.BytesIO(content)) as opened:
        return opened.convert("RGB")
