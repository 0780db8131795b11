"""How a focus is written: `centre`, `auto`, `faces`, or a point such as `0.3,0.7`."""

from __future__ import annotations

import re
from importlib.util import find_spec

HAS_FACES = all(find_spec(name) is not None for name in ("dlib", "numpy"))
FOCUSES: tuple[str, ...] = ("centre", "auto", *(("faces",) if HAS_FACES else ()))
_SYNONYMS = {"center": "centre"}
_POINT = re.compile(r"([01]|[01]?\.\d{1,16})\s*,\s*([01]|[01]?\.\d{1,16})", re.ASCII)


def parse_focus(text: str) -> str:
    """Return the one spelling of a focus that a person wrote. Raises ValueError with a sentence for any other text."""
    word = text.strip().lower()
    word = _SYNONYMS.get(word, word)
    if word in FOCUSES:
        return word
    if word == "faces":
        raise ValueError("The focus faces needs the dependency group faces, which is not installed here.")
    point = parse_point(word)
    if point is None:
        raise ValueError(
            f"The focus must be {', '.join(FOCUSES)}, or a point such as 0.3,0.7, in shares of width and height."
        )
    return ",".join(f"{share:.5f}".rstrip("0").rstrip(".") for share in point)


def parse_point(text: str) -> tuple[float, float] | None:
    """Return the shares (x, y) that a point such as `0.3,0.7` states; None for other texts and outside of 0 to 1."""
    match = _POINT.fullmatch(text)
    if match is None:
        return None
    x, y = float(match[1]), float(match[2])
    return (x, y) if max(x, y) <= 1 else None
