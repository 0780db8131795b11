"""The codes with which the stages refuse an image."""

from __future__ import annotations

from stages.errors import StageError
from stages.limits import Limits
from stages.normalize import normalize
from stages.validate import validate

LIMITS = Limits()


def code_of(original: bytes) -> tuple[str, str]:
    """Return the codes of validate and of normalize: empty if there is no error."""
    codes = []
    for stage in (lambda: validate(original, limits=LIMITS), lambda: normalize(original, edge=64, limits=LIMITS)):
        try:
            stage()
        except StageError as error:
            codes.append(error.code)
        else:
            codes.append("")
    return codes[0], codes[1]
