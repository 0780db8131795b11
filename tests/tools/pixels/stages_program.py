"""Darkroom as a program under comparison: validate, normalize and the previews, as a job runs them."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from pipeline.memory_limit import refuse_beyond_limit
from stages.errors import StageError
from stages.formats import ACCEPTED_FORMATS
from stages.normalize import build_master_pyramid
from stages.rendition_spec import RenditionSpec
from stages.resize import resize
from stages.scale import fit_size
from stages.validate import validate
from tests.tools.pixels.child_program import ChildProgram, Order, ReadOptions, refusal
from tests.tools.pixels.reading import Reading, make_views, save_reading

NAME = "darkroom"


def make_stages_program(options: ReadOptions) -> ChildProgram:
    """Return Darkroom."""
    return ChildProgram(NAME, frozenset(ACCEPTED_FORMATS), read_with_stages, options)


def read_with_stages(content: bytes, on_stage: Callable[[str], None]) -> str:
    """Run one file through the stages and save the reading; return the refusal, or nothing."""
    order = Order.from_bytes(content)
    size, limit = Path(order.file).stat().st_size, order.limits.upload_bytes
    if size > limit:  # the gateway's rule
        return refusal("upload_too_large", f"The file has {size:,} bytes; at most {limit:,} are allowed.")
    try:
        with refuse_beyond_limit():
            save_reading(_read(Path(order.file).read_bytes(), order, on_stage), Path(order.result))
    except StageError as error:
        return refusal(error.code, error.message)
    return ""


def _read(original: bytes, order: Order, on_stage: Callable[[str], None]) -> Reading:
    on_stage("validate")
    facts = validate(original, limits=order.limits)
    on_stage("normalize")
    specs = {str(edge): RenditionSpec(edge=edge) for edge in order.preview_edges}
    masters = build_master_pyramid(original, specs=specs, limits=order.limits)
    on_stage("resize")
    previews = [variant for name, master in masters.items() for variant in resize(master, specs[name])]
    with Image.open(io.BytesIO(previews[0].rendition.content)) as largest:
        preview = largest.convert("RGBA" if largest.mode == "RGBA" else "RGB")
    size = fit_size((facts.width, facts.height), order.edge)
    return Reading(
        width=facts.width,
        height=facts.height,
        views=make_views(next(iter(masters.values())).image(), size),
        preview=make_views(preview, size),
    )
