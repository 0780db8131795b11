"""The field `steps` of a form: a JSON list, read with bounds, before anything looks at what its steps are."""

from __future__ import annotations

import json
import math
from typing import Any

MAX_BYTES = 8 * 1024
"""As much as a field of a multipart form may have."""
MAX_DEPTH = 4
"""Of lists and objects in each other: the list, a step, its parameters, a list among them."""
MAX_DIGITS = 100


def parse_steps(text: str) -> list[Any]:
    """Return the steps as they are written. Raises ValueError with a sentence for anything but a JSON list."""
    size = len(text.encode())
    if size > MAX_BYTES:
        raise ValueError(f"The steps have {size:,} bytes; at most {MAX_BYTES:,} are allowed.")
    try:
        steps = json.loads(text, **_HOOKS)
        json.dumps(steps, ensure_ascii=False).encode()  # JSON can write half a character, which nothing can store
    except json.JSONDecodeError as error:
        raise ValueError(f"The steps are not JSON: {error.msg} at character {error.pos + 1}.") from None
    except RecursionError:
        raise ValueError("The steps are nested too deeply.") from None
    except UnicodeEncodeError:
        raise ValueError("The steps have half a character (a surrogate).") from None
    if not isinstance(steps, list):
        raise ValueError('The steps must be a list, such as ["grayscale", {"blur": 2}].')  # noqa: TRY004  # as pydantic
    if _depth(steps) > MAX_DEPTH:
        raise ValueError("The steps are nested too deeply.")
    return steps


def _refuse_constant(name: str) -> None:
    raise ValueError(f"The steps have {name}, which is no number of JSON.")


def _read_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"The steps have the number {text[:32]}, which is too large.")
    return number


def _read_int(text: str) -> int:
    if len(text) > MAX_DIGITS:  # Python has a limit of its own, whose message is not for clients
        raise ValueError(f"The steps have the number {text[:32]}…, which is too large.")
    return int(text)


def _read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):
        raise ValueError("An object of the steps has the same name twice.")
    return read


_HOOKS: dict[str, Any] = {
    "parse_constant": _refuse_constant,
    "parse_float": _read_float,
    "parse_int": _read_int,
    "object_pairs_hook": _read_object,
}


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)
