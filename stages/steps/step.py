"""What a step is: a change of an image that is decoded, upright and in sRGB."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from stages.decode_upright import decode_upright
from stages.limits import Limits
from stages.rendition import WHITE

if TYPE_CHECKING:
    from PIL import Image

    from stages.decode import OpenedImage


MAX_SIDE = 1_000_000
"""The longest side that a step may name: far over the limits on images, and a number that stores can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """What a step knows besides its own parameters."""

    dpr: float = 1
    """Pixels of the result for each pixel of the definition: lengths in pixels are multiplied by it."""
    background: str = WHITE
    """The colour of what a step adds, as a job stores it: #rrggbb, or #rrggbb00 if it is transparent."""
    limits: Limits = field(default_factory=Limits)
    """No result may have more pixels, or a longer side."""
    assets: Mapping[str, bytes] = field(default_factory=dict)
    """The bytes of each image file that steps name, by its name."""


class Step(Protocol):
    """One step with its parameters: a frozen dataclass. `stages.steps.table` has all of them by name.

    Each parameter has its bounds in its type, and its meaning in the docstring under it: both are in the schemas.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    SHORT: ClassVar[str] = ""
    """The parameter that a bare value sets: `{"blur": 2}` is `{"blur": {"radius": 2}}`. Empty if there is none."""
    __pydantic_config__: ClassVar[dict[str, Any]] = {
        "use_attribute_docstrings": True,
        "extra": "forbid",
        "strict": True,
    }
    """How parameters are read: unknown names are errors, and a text is no number. Stages do not import pydantic."""

    def decode(self, opened: OpenedImage, context: StepContext) -> Image.Image:
        """Return the changed image of an opened file. A step that needs less of it decodes less. Raises as `apply`."""
        return self.apply(decode_upright(opened), context)

    def apply(self, image: Image.Image, context: StepContext) -> Image.Image:
        """Return the changed image; the given one is not changed. It is L, LA, RGB or RGBA, and so is the result.

        Raises InvalidOperation with every rule that the step breaks on this image.
        """
