"""One input through every stage, as a job and the operations would take it, with what must hold of their answers."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

from pipeline.memory_limit import refuse_beyond_limit
from pipeline.presets.steps import read_step
from stages.animate import animate
from stages.crop import crop
from stages.decode import open_image
from stages.decode_upright import decode_upright
from stages.errors import StageError
from stages.fit import FITS, fit
from stages.grayscale import grayscale
from stages.limits import Limits
from stages.normalize import normalize
from stages.placeholder import build_placeholder
from stages.rendition import Rendition, render
from stages.rendition_spec import RenditionSpec
from stages.resize import resize
from stages.scale import fit_size
from stages.steps.step import StepContext
from stages.steps.watermark import AssetUnusable
from stages.validate import ImageFacts, validate

LIMITS = Limits()
EDGES = (1, 16, 160, 640, 1600)
BLURHASH_CHARACTERS = 28
SECRETS = (b"Tattletale", b"xmpmeta")  # what the specimens' metadata say


def run_stages(original: bytes, on_stage: Callable[[str], None]) -> str:
    """Run all stages, telling the name of each before it starts; return the first refusal's code, or nothing.

    What validate refuses goes no further, as in a job. Raises AssertionError where an answer contradicts another.
    """
    rng, code = Random(zlib.crc32(original)), ""  # noqa: S311  the same choices whenever a file is tried again
    on_stage("validate")
    try:
        with refuse_beyond_limit():
            facts = validate(original, limits=LIMITS)
    except StageError as refusal:
        return refusal.code
    _check_facts(facts)
    for name, step in _STEPS.items():
        on_stage(name)
        try:
            with refuse_beyond_limit():
                step(original, facts, rng)
        except StageError as refusal:
            code = code or refusal.code
    return code


def _check_facts(facts: ImageFacts) -> None:
    """Check what a status shows of an original, some of which is text from the file."""
    assert facts.bit_depth is None or 1 <= facts.bit_depth <= 64, "a channel has a number of bits that none has"
    name = facts.colour_space.name
    assert name.isprintable(), "a colour space has a name that obeys no terminal"
    assert 0 < len(name) <= 64, "the name of a colour space is empty or long"
    assert facts.has_alpha in (True, False), "transparency is neither there nor not"
    assert facts.has_gps in (True, False, None), "a position is neither stated nor not"


def _preview(original: bytes, facts: ImageFacts, rng: Random) -> None:
    edge = rng.choice(EDGES)
    master = normalize(original, edge=edge, limits=LIMITS)
    size = fit_size((facts.width, facts.height), edge)
    assert (master.width, master.height) == size, "a master is not the size validate said"
    assert len(master.pixels) == size[0] * size[1] * len(master.mode), "a master has not the bytes of its pixels"
    assert len(build_placeholder(master).blurhash) == BLURHASH_CHARACTERS, "a placeholder is not whole"
    small = rng.choice(EDGES)
    format_ = rng.choice(("auto", "jpeg", "png", "webp", "avif" if small < 640 else "auto"))
    (variant,) = resize(master, RenditionSpec(edge=small, formats=(format_,)))
    _check_rendition(variant.rendition, fit_size(size, small))


def _crop(original: bytes, facts: ImageFacts, rng: Random) -> None:
    if rng.random() < 0.3:
        _check_rendition(crop(original, aspect=rng.choice(((1, 1), (16, 9), (1, 1000))), limits=LIMITS))
        return
    left, top = rng.randrange(facts.width), rng.randrange(facts.height)
    width = min(rng.choice((1, 200, facts.width)), facts.width - left)
    height = min(rng.choice((1, 200, facts.height)), facts.height - top)
    _check_rendition(crop(original, left=left, top=top, width=width, height=height, limits=LIMITS), (width, height))


def _grayscale(original: bytes, facts: ImageFacts, _dice: Random) -> None:
    _check_rendition(grayscale(original, limits=LIMITS), (facts.width, facts.height))


def _fit(original: bytes, _facts: ImageFacts, rng: Random) -> None:
    sides = (None, 1, 100, 1000)
    width, height = rng.choice(sides), rng.choice(sides[1:])
    _check_rendition(
        fit(original, width=width, height=height, fit=rng.choice(FITS), enlarge=rng.random() < 0.5, limits=LIMITS)
    )


def _animate(original: bytes, facts: ImageFacts, rng: Random) -> None:
    edge = rng.choice(EDGES[:3])
    validate(original, limits=LIMITS, animated=True)
    rendition = animate(original, edge=edge, format=rng.choice(("webp", "gif")), limits=LIMITS)
    _check_rendition(rendition, fit_size((facts.width, facts.height), edge))


def _change(original: bytes, _facts: ImageFacts, rng: Random) -> None:
    """Apply three steps; the mutated file is the watermark too, which is refused as a file of ours."""
    image = decode_upright(open_image(original, limits=LIMITS), size=(rng.choice((1, 7, 160)), rng.choice((1, 90))))
    background = rng.choice(("#ffffff", "#ff0000", "#ffffff00"))
    context = StepContext(dpr=rng.choice((1, 2)), background=background, limits=LIMITS, assets={"it": original})
    for name in rng.sample(list(_WRITTEN), 3):
        with suppress(AssetUnusable):
            image = read_step({name: _WRITTEN[name]}).apply(image, context)
    _check_rendition(render(image, format=rng.choice(("auto", "jpeg", "png")), background=background), image.size)


_WRITTEN: dict[str, Any] = {
    "grayscale": {},
    "blur": 5,
    "sharpen": {},
    "rotate": 33.3,
    "flip": "both",
    "modulate": {"brightness": 1.2, "saturation": 0.5, "hue": 30},
    "round": 12,
    "pad": {"top": 3, "left": 5},
    "watermark": {"image": "it", "opacity": 0.5},
}


def _check_rendition(rendition: Rendition, size: tuple[int, int] | None = None) -> None:
    """Check that a rendition is what it says, of the size it should have, and would be taken as an original."""
    assert not any(secret in rendition.content for secret in SECRETS), "metadata survives"
    facts = validate(rendition.content, limits=LIMITS)
    assert facts.format == rendition.format, "a rendition is of another format than it says"
    assert (facts.width, facts.height) == (rendition.width, rendition.height), "a rendition is not the size it says"
    assert size in (None, (rendition.width, rendition.height)), "a rendition is not the size it should be"


_STEPS: dict[str, Callable[[bytes, ImageFacts, Random], None]] = {
    "normalize and resize": _preview,
    "crop": _crop,
    "grayscale": _grayscale,
    "fit": _fit,
    "steps": _change,
    "animate": _animate,
}
