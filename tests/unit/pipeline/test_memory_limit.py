"""A child that is limited refuses the image that needs more; without a limit, it is another attempt."""

from __future__ import annotations

import os
import subprocess
import sys
import weakref
from pathlib import Path

import pytest

from deploy.local.processes import MALLOC
from pipeline.memory_limit import refuse_beyond_limit, release_images
from stages.errors import ImageCorrupt

TOO_MUCH = "image_needs_too_much_memory"
LIMITED = """
from PIL import Image
from pipeline.memory_limit import limit_memory, refuse_beyond_limit, release_images
from stages.errors import StageError
from stages.grayscale import grayscale
from stages.limits import Limits
from tests.support.images import encode_image

def convert(original):
    return grayscale(original, limits=Limits(), format="png").width

def fill_heap(block):
    blocks = []
    while True:
        blocks.append(bytes(block))

small, large = (encode_image(Image.new("RGBA", (side, side)), "png") for side in (500, 4000))
limit_memory(100)
for work, given in ((convert, small), (convert, large), (fill_heap, 1 << 20), (convert, small)):
    try:
        with refuse_beyond_limit():
            print(work(given))
    except StageError as refusal:
        print(refusal.code)
        release_images(refusal)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is limited on Linux only")
def test_an_image_that_needs_more_memory_than_the_limit_is_refused_and_the_next_one_is_not() -> None:
    environment = os.environ | MALLOC  # a worker's heap keeps what the refused image has used
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=True, env=environment)

    assert done.stdout.split() == ["500", TOO_MUCH, TOO_MUCH, "500"]


def test_without_a_limit_lack_of_memory_is_not_the_images_fault() -> None:
    with pytest.raises(MemoryError), refuse_beyond_limit():
        raise MemoryError


def test_a_refusal_that_is_kept_holds_no_image() -> None:
    images = []

    def refuse() -> None:
        image = type("Image", (), {})()
        images.append(weakref.ref(image))
        raise ImageCorrupt

    with pytest.raises(ImageCorrupt) as refusal:
        refuse()
    release_images(refusal.value)

    assert images[0]() is None
