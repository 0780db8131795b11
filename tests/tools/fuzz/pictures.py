"""Pictures of every shape, layout, format and orientation, as a strategy."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st
from PIL import Image

from stages.formats import HAS_HEIC
from tests.support.images import chunk, cutout, encode_image, exif, photo, png
from tests.tools.fuzz.seed_files import heic

SIDE = 300
_LAYOUTS_BY_FORMAT = {  # the layouts each format can hold
    "png": ("1", "L", "LA", "P", "P+tRNS", "RGB", "RGB+tRNS", "RGBA", "I;16", "RGB;16", "LA;16", "RGBA;16"),
    "jpeg": ("L", "RGB", "CMYK"),
    "gif": ("1", "L", "P", "P+tRNS"),
    "webp": ("RGB", "RGBA"),
    "tiff": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"),
    "bmp": ("1", "L", "P", "RGB", "RGBA"),
    "avif": ("L", "RGB", "RGBA"),
    **({"heic": ("L", "RGB", "RGBA")} if HAS_HEIC else {}),
}
LOSSLESS = frozenset({"png", "webp", "tiff"})  # and EXIF says how they are turned
_FORMATS_WITHOUT_EXIF = frozenset({"gif", "bmp"})  # no EXIF in them
_DEEP = {"RGB;16": (2, 3), "LA;16": (4, 2), "RGBA;16": (6, 4)}  # a PNG's colour type, and its channels
_LAYOUTS_WITH_ALPHA = frozenset({"LA", "P+tRNS", "RGB+tRNS", "RGBA", "LA;16", "RGBA;16"})
SIDEWAYS = frozenset({5, 6, 7, 8})
STORED = {  # how a picture is laid out under an orientation: Exif 2.32, 4.6.4 A
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of `size` as it is seen, in the format and layout that `original()` keeps it in."""

    format: str
    layout: str
    size: tuple[int, int]
    orientation: int

    @property
    def may_be_transparent(self) -> bool:
        """Whether some pixel may be transparent."""
        return self.layout in _LAYOUTS_WITH_ALPHA

    def image(self) -> Image.Image:
        """Draw it as it is seen, in a mode that its format can be written from."""
        name = self.layout.removesuffix("+tRNS")
        if "A" in name:
            return cutout(*self.size).convert(name)
        if name == "P":
            return photo(*self.size).quantize(16)
        if name == "I;16":
            return photo(*self.size).convert("L").convert("I").point(lambda level: level * 257).convert("I;16")
        return photo(*self.size).convert(name)

    def original(self) -> bytes:
        """Encode it as a camera would, lying as its EXIF says."""
        if self.layout in _DEEP:
            return self._deep()
        options: dict[str, object] = {} if self.format in _FORMATS_WITHOUT_EXIF else {"exif": exif(self.orientation)}
        if self.layout.endswith("+tRNS"):
            options["transparency"] = photo(*self.size).getpixel((0, 0)) if self.layout.startswith("RGB") else 3
        turn, image = STORED.get(self.orientation), self.image()
        if turn is not None:
            image = image.transpose(turn)
        if self.format == "heic":
            return heic(image, **options)
        return encode_image(image, self.format, **options, **({"speed": 10} if self.format == "avif" else {}))

    def _deep(self) -> bytes:
        """Build sixteen bits a channel, which Pillow does not write: random, so that alpha takes all values too."""
        colour, channels = _DEEP[self.layout]
        width, height = self.size[::-1] if self.orientation in SIDEWAYS else self.size
        row = (photo(SIDE, 8).tobytes() * 2)[: 2 * channels * width]
        tag = chunk(b"eXIf", exif(self.orientation).removeprefix(b"Exif\0\0"))
        return png(width, height, depth=16, colour=colour, rows=[row] * height, before=tag)


def _shapes() -> st.SearchStrategy[tuple[int, int]]:
    sides = st.integers(1, SIDE)
    strips = st.one_of(
        sides.map(lambda side: (side, 1)),
        st.integers(1, SIDE // 20).flatmap(lambda side: st.tuples(st.just(20 * side), st.just(side))),
    )
    return st.one_of(st.tuples(sides, sides), strips, strips.map(lambda size: size[::-1]))


@st.composite
def pictures(draw: st.DrawFn, formats: frozenset[str] = frozenset(_LAYOUTS_BY_FORMAT), *, deep: bool = True) -> Picture:
    """Draw a picture in one of the formats; a deep one is built by rows, and so looks other when it is turned."""
    held = [
        (name, layout) for name in sorted(formats) for layout in _LAYOUTS_BY_FORMAT[name] if deep or layout not in _DEEP
    ]
    format_, layout = draw(st.sampled_from(held))
    orientation = 1 if format_ in _FORMATS_WITHOUT_EXIF else draw(st.integers(1, 8))
    return Picture(format_, layout, draw(_shapes()), orientation)
