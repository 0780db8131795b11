"""The sizes of a resize: what an image is scaled to, and what is left of it, or comes to it, in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from stages.scale import fit_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stages.rendition_spec import RenditionSpec

BoxFit = Literal["inside", "cover", "contain", "fill", "scale-down"]
Size = tuple[int, int]
PADDED_FITS = ("contain", "scale-down")


class ResizePlan(NamedTuple):
    """The size to scale the image to, and the size of the result after padding or cutting; in pixels as displayed."""

    scaled: Size
    final: Size
    factor: float
    """How much of its own size the image has in the result; of a stretched image, the larger one of its two sides."""

    @property
    def enlarges(self) -> bool:
        """Whether the image grows."""
        return self.factor > 1


def plan_resize(
    size: Size, *, width: int | None = None, height: int | None = None, fit: BoxFit, enlarge: bool
) -> ResizePlan:
    """Compute the sizes for an image of `size`. Every side is rounded to whole pixels and is at least 1.

    A missing side follows from the other. `stages.fit.fit` says what each fit does; `scale-down` is `contain` for which
    the image never grows.
    """
    enlarge = enlarge and fit != "scale-down"
    if not enlarge and not (width and height):  # bound the given side before the missing one follows from it
        width, height = (side and min(side, whole) for side, whole in zip((width, height), size, strict=True))
    box_width = width or max(1, round(size[0] * (height or 1) / size[1]))  # a missing side keeps the aspect ratio
    box_height = height or max(1, round(size[1] * (width or 1) / size[0]))
    cover_factor = max(box_width / size[0], box_height / size[1])  # the smallest scale that covers the whole box
    if fit == "inside" or fit in PADDED_FITS:
        factors = [side / whole for side, whole in zip((width, height), size, strict=True) if side]
        factor = min(factors) if enlarge else min(*factors, 1.0)  # the largest scale that fits in the box
        scaled = max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
        is_padded = fit in PADDED_FITS and width and height
        return ResizePlan(scaled, (box_width, box_height) if is_padded else scaled, factor)
    if not enlarge and cover_factor > 1:  # shrink the box until the image covers it at its own size
        box_width, box_height = max(1, round(box_width / cover_factor)), max(1, round(box_height / cover_factor))
        cover_factor = 1.0
    if fit == "fill":
        return ResizePlan((box_width, box_height), (box_width, box_height), cover_factor)
    # max(): rounding must not leave the scaled image a pixel short of the box.
    scaled = max(box_width, round(size[0] * cover_factor)), max(box_height, round(size[1] * cover_factor))
    return ResizePlan(scaled, (box_width, box_height), cover_factor)


def plan_edge(size: Size, edge: int, *, enlarge: bool) -> ResizePlan:
    """Compute the sizes for a longest side of `edge` pixels."""
    longest = max(size)
    if not enlarge:
        scaled = fit_size(size, edge)
        return ResizePlan(scaled, scaled, min(1.0, edge / longest))
    scaled = max(1, round(size[0] * edge / longest)), max(1, round(size[1] * edge / longest))
    return ResizePlan(scaled, scaled, edge / longest)


def plan_rendition(size: Size, spec: RenditionSpec, density: float = 1) -> ResizePlan:
    """Compute the sizes of a rendition at a density."""
    if spec.edge is not None:
        return plan_edge(size, max(1, round(spec.edge * density)), enlarge=spec.enlarge)
    width, height = (side and max(1, round(side * density)) for side in (spec.width, spec.height))
    return plan_resize(size, width=width, height=height, fit=spec.fit, enlarge=spec.enlarge)


def whole_edge(size: Size, spec: RenditionSpec) -> int:
    """Return the longest side that the whole image has in the box of a rendition, without growing."""
    if spec.edge is not None:
        return spec.edge
    return max(plan_resize(size, width=spec.width, height=spec.height, fit="inside", enlarge=False).scaled)


def limit_density(size: Size, spec: RenditionSpec, dpr: float) -> float:
    """Return the density, at most `dpr` and at least the lowest, for which an original of `size` has the pixels.

    So all densities show the same: without it, the padding would grow where the image cannot.
    """
    lowest = spec.lowest_dpr or spec.dpr[0]
    if spec.enlarge and spec.fit != "scale-down":
        return dpr
    return min(dpr, max(lowest, lowest / plan_rendition(size, spec, lowest).factor))


def plan_levels(size: Size, specs: Mapping[str, RenditionSpec]) -> dict[str, Size]:
    """Return the size of the whole image that each rendition is made of, for an original of `size`.

    It has the pixels that the highest density needs, and never more than the original: what a rendition cuts off or
    stretches, and where it grows, is its own stage's work.
    """
    by_edge = {name: spec for name, spec in specs.items() if spec.edge is not None and not spec.enlarge}
    tops = {name: max(1, round((spec.edge or 1) * _highest_density(size, spec))) for name, spec in by_edge.items()}
    levels, bound = {name: _level(size, spec) for name, spec in specs.items() if name not in by_edge}, size
    for name in sorted(tops, key=tops.__getitem__, reverse=True):
        bound = fit_size(bound, tops[name])  # of the next larger one: it is scaled down from that
        levels[name] = bound
    return levels


def _level(size: Size, spec: RenditionSpec) -> Size:
    plan = plan_rendition(size, spec, _highest_density(size, spec))
    if plan.factor >= 1:
        return size
    if spec.fit != "fill":
        return min(plan.scaled[0], size[0]), min(plan.scaled[1], size[1])
    return max(1, round(size[0] * plan.factor)), max(1, round(size[1] * plan.factor))


def _highest_density(size: Size, spec: RenditionSpec) -> float:
    return limit_density(size, spec, spec.dpr[-1])
