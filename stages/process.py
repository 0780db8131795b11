"""The operation process: several steps, one after another, for one output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from stages.decode import open_image
from stages.decode_upright import decode_upright
from stages.errors import InvalidOperation
from stages.rendition import WHITE, Rendition, broken_output_rules, raise_broken_rules, render
from stages.steps.step import Step, StepContext
from stages.steps.table import STEPS

if TYPE_CHECKING:
    from PIL import Image

    from stages.limits import Limits


def process(  # noqa: PLR0913  the operation's own parameters
    original: bytes,
    *,
    steps: Sequence[Step],
    assets: Mapping[str, bytes],
    limits: Limits,
    format: str = "auto",  # noqa: A002  the API's own word
    quality: int | None = None,
    background: str = WHITE,
) -> Rendition:
    """Apply the steps to the upright original at full size, in their order. The first one decodes it as it needs it.

    `assets` are the bytes of each image file that steps name. Raises InvalidOperation with every rule that the output
    breaks, or that a step breaks on the image that it gets.
    """
    opened = open_image(original, limits=limits)
    raise_broken_rules(broken_output_rules(format, quality, background))
    context = StepContext(background=background, limits=limits, assets=assets)
    image = None if steps else decode_upright(opened)
    for index, step in enumerate(steps):
        with _name_place(f"/steps/{index}", step):
            image = step.decode(opened, context) if image is None else step.apply(image, context)
    return render(cast("Image.Image", image), format=format, quality=quality, background=background)


@contextmanager
def _name_place(place: str, step: Step) -> Iterator[None]:
    """Let the pointers of the rules that a step breaks begin with its place."""
    try:
        yield
    except InvalidOperation as error:
        name = next(name for name, known in STEPS.items() if isinstance(step, known))
        rules = tuple(replace(rule, pointer=f"{place}/{name}{rule.pointer}") for rule in error.errors)
        raise InvalidOperation(error.message, errors=rules) from error
