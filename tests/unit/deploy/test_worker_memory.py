"""The memory of a worker follows from the limits on what it may be given."""

from __future__ import annotations

from deploy.generate.worker_memory import image_mib
from pipeline.routing import RESIZE
from pipeline.settings import Settings
from stages.limits import Limits

LIMITS = Limits(animation_pixels=1)


def test_a_rendition_of_a_file_of_presets_may_be_as_large_as_an_image() -> None:
    without = image_mib(RESIZE, Settings(limits=LIMITS, presets=""))

    assert image_mib(RESIZE, Settings(limits=LIMITS, presets="presets.toml")) > without
