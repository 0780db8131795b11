"""All steps by the names that preset files and requests write."""

from __future__ import annotations

from stages.steps.blur import Blur
from stages.steps.crop import Crop
from stages.steps.flip import Flip
from stages.steps.grayscale import Grayscale
from stages.steps.modulate import Modulate
from stages.steps.pad import Pad
from stages.steps.resize import Resize
from stages.steps.rotate import Rotate
from stages.steps.round import Round
from stages.steps.sharpen import Sharpen
from stages.steps.step import Step
from stages.steps.watermark import Watermark

STEPS: dict[str, type[Step]] = {
    "crop": Crop,
    "resize": Resize,
    "grayscale": Grayscale,
    "blur": Blur,
    "sharpen": Sharpen,
    "rotate": Rotate,
    "flip": Flip,
    "modulate": Modulate,
    "round": Round,
    "pad": Pad,
    "watermark": Watermark,
}
