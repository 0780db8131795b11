"""All steps by the names that preset files and requests write."""

from __future__ import annotations

from stages.steps.grayscale import Grayscale
from stages.steps.step import Step

STEPS: dict[str, type[Step]] = {
    "grayscale": Grayscale,
}
