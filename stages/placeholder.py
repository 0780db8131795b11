"""The placeholder: what a page shows in the place of an image until the image is there."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from blurhash_rs import blurhash_encode
from PIL import Image

from stages.rendition import WHITE, flatten
from stages.scale import fit_size
from stages.thumbhash import encode_thumbhash

if TYPE_CHECKING:
    from stages.normalize import Master

SAMPLE_SIDE = 512  # of a larger master, only every n-th pixel counts: settings change neither time nor memory
SIDE = 128  # of the thumbnail: a smaller one makes the ends of a BlurHash too dark, a larger one changes nothing
MIN_SIDE, MAX_STRIP = 32, 256  # of a strip or a tiny image, enlarged: waves need pixels to differ
THUMBHASH_SCALE = 4  # seven waves a side need no more than 32 pixels


@dataclass(frozen=True, slots=True)
class Placeholder:
    """An image as text: its ThumbHash (base64), its BlurHash (28 characters) and its mean colour (#rrggbb)."""

    thumbhash: str
    blurhash: str
    color: str


def build_placeholder(master: Master, *, background: str = WHITE) -> Placeholder:
    """Return the placeholder of a master. The smallest master is enough, and the fastest.

    A ThumbHash has alpha. A BlurHash and a colour have none: theirs are those of the image laid on `background`. The
    colour is the mean of sRGB values, as in a ThumbHash; a BlurHash has that of linear light, which is brighter.
    """
    thumbnail = _make_thumbnail(master.image())
    flat = flatten(thumbnail, background)
    components = (4, 3) if flat.width >= flat.height else (3, 4)
    return Placeholder(
        thumbhash=b64encode(encode_thumbhash(thumbnail.reduce(THUMBHASH_SCALE))).decode(),
        blurhash=blurhash_encode(flat, *components),
        color=f"#{flat.reduce(flat.size).tobytes().hex()}",
    )


def _make_thumbnail(image: Image.Image) -> Image.Image:
    """Return the image at about SIDE pixels for its longest side, each the mean of whole pixels, which is fast."""
    sample = image.resize(fit_size(image.size, SAMPLE_SIDE), Image.Resampling.NEAREST)
    image = sample.reduce(ceil(max(sample.size) / SIDE))
    factor = ceil(MIN_SIDE / min(image.size))
    size = (min(image.width * factor, MAX_STRIP), min(image.height * factor, MAX_STRIP))
    return image if factor == 1 else image.resize(size, Image.Resampling.BOX)
