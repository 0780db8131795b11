"""What the load sends: photos of every size, operations, bad images and poison, and how each is to end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from PIL import Image

from tests.support.images import cutout, encode_image, photo

POISON = "poison"
"""How the file name of a poison job begins: the stage that it names next kills its worker every time."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One thing to upload, and the state, or the failure's code, that its job is to end in."""

    name: str
    content: bytes = field(repr=False)
    path: str = "/upload"
    fields: Mapping[str, str] = field(default_factory=dict)
    expected_state: str = "done"
    code: str | None = None
    weight: int = 1

    @property
    def renditions(self) -> set[str]:
        """The names of what its job makes."""
        return {"small", "medium", "large"} if self.path == "/upload" else {"output"}


@cache
def samples() -> tuple[Sample, ...]:
    """Draw everything but the poison; their weights are how often each is sent."""
    middling, large = _jpeg(1200, 900), _jpeg(4000, 3000)
    truncated = middling[: len(middling) // 2]
    return (
        Sample(name="0.1-megapixels.jpg", content=_jpeg(400, 250), weight=4),
        Sample(name="0.5-megapixels.jpg", content=_jpeg(800, 600), weight=4),
        Sample(name="1-megapixel.jpg", content=middling, weight=4),
        Sample(name="2-megapixels.jpg", content=_jpeg(1600, 1250), weight=3),
        Sample(name="12-megapixels.jpg", content=large, weight=2),
        Sample(name="cutout.png", content=encode_image(cutout(640, 480)), weight=1),
        Sample(name="crop.jpg", content=_jpeg(1000, 700), path="/crop", fields={"aspect": "1:1"}, weight=2),
        Sample(name="grey.jpg", content=_jpeg(900, 650), path="/grayscale", weight=2),
        Sample(name="resize.jpg", content=large, path="/resize", fields={"width": "800"}, weight=2),
        Sample(name="truncated.jpg", content=truncated, expected_state="failed", code="image_truncated", weight=1),
        Sample(
            name="truncated-crop.jpg",
            content=truncated,
            path="/crop",
            fields={"aspect": "1:1"},
            expected_state="failed",
            code="image_truncated",
        ),
        Sample(
            name="crop-outside.jpg",
            content=_jpeg(500, 400),
            path="/crop",
            fields={"left": "900", "top": "0", "width": "10", "height": "10"},
            expected_state="failed",
            code="invalid_operation",
        ),
    )


@cache
def poison() -> Sample:
    """Draw an image that takes long enough to normalize for its worker to be killed over it, each time."""
    grey = Image.linear_gradient("L").resize((7200, 5000))
    content = encode_image(Image.merge("RGBA", [grey] * 4), "png", compress_level=1)
    return Sample(name=f"{POISON}-normalize.png", content=content, expected_state="dead", code="attempts_exhausted")


@cache
def large_result() -> Sample:
    """Draw a photo of which a file of 4 MB is made within the short time limit."""
    return Sample(name="best-grey.jpg", content=_jpeg(4000, 3000), path="/grayscale", fields={"quality": "100"})


def _jpeg(width: int, height: int) -> bytes:
    return encode_image(photo(width, height), "jpeg", quality=85)
