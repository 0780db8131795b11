"""What a rendition is to be: its size, its steps, and the formats and densities that it is encoded in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stages.rendition import WHITE

if TYPE_CHECKING:
    from stages.resize_plan import BoxFit
    from stages.steps.step import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class RenditionSpec:
    """One rendition of a preset. Its size is that of an `edge`, or of a box with a width, a height, or both.

    Each density multiplies the size; each format is encoded in each density, from one master.
    """

    edge: int | None = None
    """The longest side, in pixels."""
    width: int | None = None
    """The width of the box, in pixels; it follows from the height if it is missing."""
    height: int | None = None
    """The height of the box, in pixels; it follows from the width if it is missing."""
    fit: BoxFit = "inside"
    """How the image comes to the box: as `object-fit` of CSS, and `inside`, which bounds it without padding."""
    focus: str = "centre"
    """What a cut keeps: `centre`, `auto`, `faces`, or a point as shares of width and height, `0.3,0.7`."""
    enlarge: bool = False
    """Whether a small image grows."""
    formats: tuple[str, ...] = ("auto",)
    """The formats, the best one first; the last is for clients that state none."""
    dpr: tuple[float, ...] = (1,)
    """The densities, the lowest first: pixels of the file for each pixel of the definition."""
    lowest_dpr: float | None = None
    """The density that all others show the same as; None: the lowest of `dpr`. For a file that is made alone."""
    quality: Mapping[str, int] = field(default_factory=dict)
    """The quality of formats, 1 to 100; that of the others is the format's own default."""
    background: str = WHITE
    """The colour of padding, and behind transparent pixels in a format without alpha."""
    steps: tuple[Step, ...] = ()
    """What happens to the image after it has its size, in this order. The watermark is the last."""

    @property
    def has_variants(self) -> bool:
        """Whether its files need more than the rendition's name: there are several, or not of the density 1."""
        return len(self.formats) > 1 or self.dpr != (1,)

    @property
    def longest_side(self) -> int:
        """The longest side that the rendition may have at the density 1, in pixels, as far as the definition tells."""
        return self.edge or max(self.width or 0, self.height or 0)
