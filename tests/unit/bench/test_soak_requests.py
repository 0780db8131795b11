"""What a soak sends."""

from __future__ import annotations

import pytest

from stages.errors import StageError
from stages.grayscale import grayscale
from stages.limits import Limits
from tests.tools.bench.soak_requests import FORMATS, damage, draw_bombs, draw_broken


@pytest.mark.parametrize("name", FORMATS)
def test_a_truncated_image_of_each_format_is_refused(name: str) -> None:
    broken = draw_broken((320, 240), (name,))

    with pytest.raises(StageError, match="truncated"):
        grayscale(broken[f"a truncated {name} of 0 MP"], limits=Limits())


@pytest.mark.parametrize(("name", "bomb"), draw_bombs().items(), ids=draw_bombs())
def test_a_bomb_is_refused(name: str, bomb: bytes) -> None:
    del name

    with pytest.raises(StageError):
        grayscale(bomb, limits=Limits())


def test_a_damaged_file_keeps_its_length_and_both_ends() -> None:
    file = bytes(range(256)) * 100

    damaged = damage(file)

    assert len(damaged) == len(file)
    assert damaged != file
    assert (damaged[:1000], damaged[-1000:]) == (file[:1000], file[-1000:])
