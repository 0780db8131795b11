"""Stage three, run for each rendition: make each density of the master once, and encode it in each format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages.focus.find import CENTRE, find_focus
from stages.focus.spelling import parse_focus
from stages.formats import choose_format
from stages.limits import Limits, result_rules
from stages.reframe import reframe
from stages.rendition import Rendition, format_rules, has_alpha, raise_broken_rules, render
from stages.resize_plan import ResizePlan, Size, limit_density, plan_edge, plan_rendition
from stages.steps.step import StepContext

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from PIL import Image

    from stages.normalize import Master
    from stages.rendition_spec import RenditionSpec


@dataclass(frozen=True, slots=True)
class Variant:
    """One file of a rendition, and the densities that it is for: several where the original has no more pixels."""

    rendition: Rendition
    densities: tuple[float, ...]


def resize(
    master: Master,
    spec: RenditionSpec,
    *,
    original_size: Size | None = None,
    limits: Limits | None = None,
    assets: Mapping[str, bytes] | None = None,
) -> Iterator[Variant]:
    """Yield the variants of a rendition, the lowest density first, and of each density the best format first.

    The master is the whole image, in the size of `plan_levels` for an original of `original_size` pixels as displayed;
    by default it is the original. Only one density is in memory at a time. A density that a format cannot hold is not
    there in this format. Raises InvalidOperation for a result over the limits, and for one that a step or every format
    cannot be.
    """
    image, limits = master.image(), limits or Limits()
    steps_assets, point = assets or {}, None
    for plan, density, densities in _plan_densities(original_size or image.size, image.size, spec):
        raise_broken_rules(result_rules(plan.final, limits))
        if point is None:  # of the master, so that all densities show the same
            point = find_focus(image, parse_focus(spec.focus), plan.final) if spec.fit == "cover" else CENTRE
        result = reframe(image, plan, fit=spec.fit, point=point, background=spec.background)
        context = StepContext(dpr=density, background=spec.background, limits=limits, assets=steps_assets)
        for step in spec.steps:
            result = step.apply(result, context)
        for name in _formats_of(result, spec):
            rendition = render(result, format=name, quality=spec.quality.get(name), background=spec.background)
            yield Variant(rendition, densities)


def _plan_densities(
    original_size: Size, master_size: Size, spec: RenditionSpec
) -> list[tuple[ResizePlan, float, tuple[float, ...]]]:
    """Return each different result with its density, and the densities of the definition that it is for."""
    found: dict[tuple[Size, Size], tuple[ResizePlan, float, tuple[float, ...]]] = {}
    for dpr in spec.dpr:
        density = limit_density(original_size, spec, dpr)
        if spec.edge is not None and not spec.enlarge:  # of the master, whose size is rounded already
            plan = plan_edge(master_size, max(1, round(spec.edge * density)), enlarge=False)
        else:
            plan = plan_rendition(original_size, spec, density)
        first = found.get((plan.scaled, plan.final), (plan, density, ()))
        found[plan.scaled, plan.final] = (first[0], first[1], (*first[2], dpr))
    return list(found.values())


def _formats_of(image: Image.Image, spec: RenditionSpec) -> list[str]:
    """Return the formats of an image, each once: of two, such as `auto` and `jpeg`, the later one stays.

    Formats that cannot hold so large an image are left out, unless none can.
    """
    names = [choose_format(name, has_alpha=has_alpha(image), size=image.size) for name in spec.formats]
    possible = [name for name in names if not format_rules(name, image.size)]
    return list(dict.fromkeys(reversed(possible or names)))[::-1]
