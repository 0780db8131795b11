"""The photos of a benchmark: drawn, or made from given ones, at fixed sizes, as phones and cameras store them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageChops, ImageOps

from tests.support.images import encode_image, exif, rgb_profile

TWELVE, TWO, TWENTY_FOUR = (4000, 3000), (1632, 1224), (6000, 4000)
SIZE_BY_MEGAPIXELS = {1: (1152, 864), 2: TWO, 5: (2592, 1944), 12: TWELVE, 24: TWENTY_FOUR, 50: (8160, 6120)}
"""Megapixels, and the size that has them."""
JPEGS = {"12mp": (20, TWELVE), "2mp": (10, TWO), "24mp": (2, TWENTY_FOUR), "shop": (40, TWELVE)}
JPEG_QUALITY = 90
GRAIN = 3.5  # levels: with it a drawn photo of 12 megapixels has the 2.8 MB of a phone's
TINY = (16, 16)


class Corpus:
    """Sets of photos by name, each made when it is first asked for; the same every time."""

    def __init__(self, given: Path | None = None) -> None:
        self._given = _pictures(given) if given else []
        self._sets: dict[str, list[bytes]] = {}

    def photos(self, name: str) -> Sequence[bytes]:
        """Return a set: `12mp`, `2mp`, `24mp`, `png`, `webp`, `tiny`, `mix`, or megapixels such as `50`.

        `shop` has 40 photos of 12 megapixels.
        """
        if name not in self._sets:
            self._sets[name] = self._make(name)
        return self._sets[name]

    def pictures(self, count: int | None, edge: int) -> list[Image.Image]:
        """Return the pixels of some photos, at most `edge` a side, not encoded by us; None: all given ones."""
        indexes = range(len(self._given) if count is None else count)
        return [self._whole(index, edge) for index in indexes]

    def _whole(self, index: int, edge: int) -> Image.Image:
        if not self._given:
            return ImageOps.contain(draw_photo(index, TWELVE), (edge, edge), Image.Resampling.LANCZOS)
        with Image.open(self._given[index % len(self._given)]) as picture:
            upright = ImageOps.exif_transpose(picture).convert("RGB")
        upright.thumbnail((edge, edge), Image.Resampling.LANCZOS)
        upright.info = {}  # Pillow would put the profile and more into what it saves
        return upright

    def _make(self, name: str) -> list[bytes]:
        match name:
            case "png":
                return [self._with_alpha(index) for index in range(2)]
            case "webp":
                return [encode_image(self._picture(index, (2048, 1536)), "webp", quality=85) for index in range(2)]
            case "tiny":
                return [encode_image(draw_photo(0, TINY), "jpeg")]
            case "mix":
                return self._mix()
        count, size = JPEGS[name] if name in JPEGS else (1, SIZE_BY_MEGAPIXELS[int(name)])
        return [self._jpeg(index, size) for index in range(count)]

    def _mix(self) -> list[bytes]:
        """Shuffle them as a site's users send them: six in ten of a phone, a quarter already small."""
        shares = {"12mp": 12, "2mp": 5, "24mp": 1, "png": 1, "webp": 1}
        mixed = [photo for name, share in shares.items() for photo in _first(self.photos(name), share)]
        random.Random(7).shuffle(mixed)  # noqa: S311  # the same order every time
        return mixed

    def _jpeg(self, index: int, size: tuple[int, int]) -> bytes:
        """Make a JPEG: every fourth lies on its side, every fifth has wider colours than sRGB."""
        more = {"icc_profile": rgb_profile("adobe")} if index % 5 == 2 else {}
        orientation = 6 if index % 4 == 1 else 1
        picture = self._picture(index, size)
        return encode_image(picture, "jpeg", quality=JPEG_QUALITY, subsampling="4:2:0", exif=exif(orientation), **more)

    def _with_alpha(self, index: int) -> bytes:
        size = (1600, 1200)
        picture = self._picture(index, size)
        picture.putalpha(
            ImageOps.invert(Image.radial_gradient("L")).resize(size).point(lambda level: min(255, 2 * level))
        )
        return encode_image(picture, "png")

    def _picture(self, index: int, size: tuple[int, int]) -> Image.Image:
        if not self._given:
            return draw_photo(index, size)
        with Image.open(self._given[index % len(self._given)]) as picture:
            return ImageOps.fit(ImageOps.exif_transpose(picture).convert("RGB"), size)


def draw_photo(index: int, size: tuple[int, int]) -> Image.Image:
    """Draw patches of colour, edges between them, and the grain of a sensor: what makes a JPEG of a photo large."""
    rng = random.Random(index)  # noqa: S311  # the same picture every time
    patches = Image.frombytes("RGB", (24, 18), rng.randbytes(24 * 18 * 3)).resize(size, Image.Resampling.BICUBIC)
    edges = Image.frombytes("L", (160, 120), rng.randbytes(160 * 120)).resize(size, Image.Resampling.BILINEAR)
    scene = Image.blend(patches, Image.merge("RGB", [edges.point(lambda level: 255 * (level > 140))] * 3), 0.15)
    grain = Image.effect_noise((512, 512), GRAIN)
    tiled = Image.new("L", size)
    for left in range(0, size[0], 512):
        for top in range(0, size[1], 512):
            tiled.paste(grain, (left, top))
    return ImageChops.add(scene, Image.merge("RGB", [tiled] * 3), offset=-128)


def _first(photos: Sequence[bytes], count: int) -> list[bytes]:
    return [photos[index % len(photos)] for index in range(count)]


def _pictures(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"})
    if not found:
        raise FileNotFoundError(f"there is no photo in {folder}")
    return found
