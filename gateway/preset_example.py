"""Draws a preset as SVG, from its definition alone: each rendition's box in one scale, with a photo in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from pipeline.presets.definition import RenditionDefinition
from pipeline.presets.preset import Preset
from stages.resize_plan import PADDED_FITS

PHOTO_RATIO = 3 / 2
"""Width / height of the photo that is drawn."""
DRAWN = 320
"""The longest side of the largest box, in units of the drawing."""
SMALLEST = 6
MARGIN, GAP, LINE, TEXT_WIDTH = 16, 24, 18, 330
TEXT, QUIET, PADDING, OUTLINE = "#1f2328", "#59636e", "#e6e8eb", "#1f6feb"
ASPECTS = {"cover": "xMidYMid slice", "fill": "none"}
"""How SVG does what a fit does."""
PHOTO = (
    '<rect width="30" height="20" fill="#b6d7f2"/><circle cx="22" cy="6" r="2.5" fill="#f6d365"/>'
    '<path d="M0 20V13l7-6 7 8 4-4 12 9z" fill="#6a9a78"/>'
)
FIRST, LATER = f'fill="{TEXT}" font-weight="bold"', f'fill="{QUIET}"'
FONT = 'font-family="system-ui, sans-serif" font-size="13"'


@dataclass(frozen=True, slots=True)
class Size:
    """A width and a height."""

    width: float
    height: float

    def scaled(self, factor: float) -> Size:
        """Return the size times a factor."""
        return Size(self.width * factor, self.height * factor)

    def fitted(self, box: Size, *, covers: bool = False) -> Size:
        """Return the largest size of this shape in the box, or the smallest around it."""
        factors = box.width / self.width, box.height / self.height
        return self.scaled(max(factors) if covers else min(factors))


def draw_preset(preset: Preset) -> str:
    """Return the drawing. It has no script, no style and no link, so that every policy lets it be shown."""
    renditions = preset.definition.renditions
    scale = DRAWN / max(max(extent.width, extent.height) for extent in map(extent_of, renditions.values()))
    rows, top = [], MARGIN + 2 * LINE
    for name, rendition in renditions.items():
        rows.append(f'<g transform="translate({MARGIN} {top})">{_draw_rendition(name, rendition, scale)}</g>')
        top += round(max(extent_of(rendition).height * scale, 4 * LINE)) + GAP
    width = 2 * MARGIN + DRAWN + GAP + TEXT_WIDTH
    title = f"{preset.name} ({preset.version})"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" width="{width}" height="{top}" '
        f'role="img" aria-label={quoteattr(f"The preset {title}")}>'
        f'<rect width="100%" height="100%" fill="#ffffff"/>'
        f'<text x="{MARGIN}" y="{MARGIN + LINE}" {FONT} font-weight="bold" fill="{TEXT}">{escape(title)}</text>'
        f"{''.join(rows)}</svg>"
    )


def box_of(rendition: RenditionDefinition) -> Size:
    """Return the size that the photo comes to, in pixels of the density 1: of an edge, or of a side alone, its own."""
    if rendition.edge is not None:
        return Size(rendition.edge, rendition.edge / PHOTO_RATIO)
    width, height = rendition.width, rendition.height
    return Size(width or (height or 1) * PHOTO_RATIO, height or (width or 1) / PHOTO_RATIO)


def extent_of(rendition: RenditionDefinition) -> Size:
    """Return the size of the box with what is cut off around it."""
    box = box_of(rendition)
    return Size(PHOTO_RATIO, 1).fitted(box, covers=True) if rendition.fit == "cover" else box


def _draw_rendition(name: str, rendition: RenditionDefinition, scale: float) -> str:
    box, extent = (_enlarge(size.scaled(scale)) for size in (box_of(rendition), extent_of(rendition)))
    texts = "".join(
        f'<text x="{DRAWN + GAP}" y="{LINE * (index + 1) - 4}" {FONT} {LATER if index else FIRST}>{escape(text)}</text>'
        for index, text in enumerate(_describe(name, rendition))
    )
    return "".join(_draw_box(rendition, box, extent)) + texts


def _enlarge(size: Size) -> Size:
    """Return a size that can be seen."""
    return Size(max(size.width, SMALLEST), max(size.height, SMALLEST))


def _draw_box(rendition: RenditionDefinition, box: Size, extent: Size) -> Iterator[str]:
    """Yield the photo as it comes to the box, the box, and what is cut off. All are around the same point."""
    fit = rendition.fit
    if fit == "inside":
        box = Size(PHOTO_RATIO, 1).fitted(box)
    place = _place(box, extent)
    if fit in PADDED_FITS:
        yield f'<rect {place} fill="{PADDING}"/>'
    yield f'<svg {place} viewBox="0 0 30 20" preserveAspectRatio="{ASPECTS.get(fit, "xMidYMid")}">{PHOTO}</svg>'
    if fit == "cover":
        yield f'<rect {_place(extent, extent)} fill="none" stroke="{QUIET}" stroke-dasharray="3 3"/>'
    yield f'<rect {place} fill="none" stroke="{OUTLINE}"/>'


def _place(size: Size, extent: Size) -> str:
    """Return the place of a rectangle in the middle of the extent."""
    x, y = (extent.width - size.width) / 2, (extent.height - size.height) / 2
    return f'x="{x:.1f}" y="{y:.1f}" width="{size.width:.1f}" height="{size.height:.1f}"'


def _describe(name: str, rendition: RenditionDefinition) -> Iterator[str]:
    """Yield the lines beside the box."""
    yield name
    if rendition.edge is not None:
        yield f"longest side {rendition.edge:,} px"
    else:
        width, height = (f"{side:,}" if side else "any" for side in (rendition.width, rendition.height))
        cut = f", focus {rendition.focus}" if rendition.fit == "cover" else ""
        yield f"{width} x {height} px, {rendition.fit}{cut}"
    densities = ", ".join(f"{density:g}x" for density in sorted(rendition.dpr))
    yield f"{', '.join(rendition.formats)} at {densities}"
    if steps := list(rendition.step_names()):
        yield f"then {', '.join(steps)}"
