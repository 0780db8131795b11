"""A child that is limited refuses the image that needs more; without a limit, it is another attempt."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.memory_limit import refuse_beyond_limit

LIMITED = """
import sys
from PIL import Image
from pipeline.memory_limit import limit_memory, refuse_beyond_limit
from stages.limits import Limits
from stages.normalize import normalize
from stages.errors import StageError
from tests.support.images import encode_image

originals = [encode_image(Image.new("RGBA", (side, side)), "png") for side in (100, 4000, 100)]
limit_memory(40)
for original in originals:
    try:
        with refuse_beyond_limit():
            print(normalize(original, edge=64, limits=Limits()).width)
    except StageError as refusal:
        print(refusal.code)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is limited on Linux only")
def test_an_image_that_needs_more_memory_than_the_limit_is_refused_and_the_next_one_is_not() -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["64", "image_needs_too_much_memory", "64"]


def test_without_a_limit_lack_of_memory_is_not_the_images_fault() -> None:
    with pytest.raises(MemoryError), refuse_beyond_limit():
        raise MemoryError
