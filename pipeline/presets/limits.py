"""Checks a definition against the limits on presets."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.preset_settings import PresetLimits
from pipeline.presets.definition import PresetDefinition, RenditionDefinition
from pipeline.presets.validation import Found
from stages.formats import MEMORY_INTENSIVE_FORMATS, MEMORY_INTENSIVE_MAX_PIXELS
from stages.limits import Limits


def check_limits(definition: PresetDefinition, limits: PresetLimits, image_limits: Limits) -> Iterator[Found]:
    """Yield each limit that the definition breaks. Of a file, the pixels count that it may have at most."""
    renditions = definition.renditions
    if len(renditions) > limits.renditions:
        yield ("renditions",), f"There are {len(renditions)} renditions; at most {limits.renditions} are allowed."
    for name, rendition in renditions.items():
        for key, message in _check_rendition(rendition, limits, image_limits):
            yield (("renditions", name, key) if key else ("renditions", name)), message
    pixels = sum(map(count_pixels, renditions.values()))
    if pixels > limits.preset_pixels:
        yield (), f"All files together may have {pixels:,} pixels; at most {limits.preset_pixels:,} are allowed."


def _check_rendition(
    rendition: RenditionDefinition, limits: PresetLimits, image_limits: Limits
) -> Iterator[tuple[str, str]]:
    steps = len(rendition.steps) + (rendition.watermark is not None)
    if steps > limits.steps:
        yield "steps", f"There are {steps} steps; at most {limits.steps} are allowed."
    formats, densities = len(rendition.formats), len(rendition.dpr)
    if formats * densities > limits.variants:
        message = f"{formats} formats at {densities} densities are {formats * densities} files"
        yield "formats", f"{message}; at most {limits.variants} are allowed."
    if (pixels := count_pixels(rendition)) > limits.rendition_pixels:
        yield "", f"All its files together may have {pixels:,} pixels; at most {limits.rendition_pixels:,} are allowed."
    yield from _check_largest(rendition, image_limits)


def _check_largest(rendition: RenditionDefinition, image_limits: Limits) -> Iterator[tuple[str, str]]:
    """Check the file of the highest density."""
    density = max(rendition.dpr)
    width, height = (round(side * density) for side in _sides(rendition))
    for key in ("edge", "width", "height"):
        side = round((getattr(rendition, key) or 0) * density)
        if side > image_limits.side:
            yield key, f"A file may have a side of {side:,} pixels; at most {image_limits.side:,} are allowed."
    is_box = None not in {rendition.width, rendition.height} and rendition.fit != "inside"
    if not is_box:  # the image has a part in its size
        return
    if width * height > image_limits.pixels:
        yield "", f"A file may have {width * height:,} pixels; at most {image_limits.pixels:,} are allowed."
    elif width * height > MEMORY_INTENSIVE_MAX_PIXELS and (heavy := MEMORY_INTENSIVE_FORMATS & {*rendition.formats}):
        names = " and ".join(sorted(heavy))
        most = f"{MEMORY_INTENSIVE_MAX_PIXELS:,}"
        yield "formats", f"A file may have {width * height:,} pixels; in {names}, at most {most} are possible."


def count_pixels(rendition: RenditionDefinition) -> int:
    """Return the pixels that all files of a rendition may have together. An unknown side is as long as the other."""
    width, height = _sides(rendition)
    return len(rendition.formats) * sum(round(width * density) * round(height * density) for density in rendition.dpr)


def _sides(rendition: RenditionDefinition) -> tuple[int, int]:
    longest = rendition.edge or max(rendition.width or 0, rendition.height or 0)
    return rendition.width or longest, rendition.height or longest
