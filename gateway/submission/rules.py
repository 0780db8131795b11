"""Broken rules as an answer lists them: a pointer, the rule, a sentence, the limit and what was sent."""

from __future__ import annotations

from typing import Any

MAX_SHOWN = 64
"""Characters of a value that an answer repeats."""
_RULES = {
    "greater_than_equal": "minimum",
    "greater_than": "minimum",
    "less_than_equal": "maximum",
    "less_than": "maximum",
    "literal_error": "choice",
    "value_error": "invalid",
    "missing": "required",
    "extra_forbidden": "unknown",
    "unexpected_keyword_argument": "unknown",
}
"""Pydantic's error types, and the names that the stages use for the same rules."""
_LIMITS = ("ge", "gt", "le", "lt", "expected")


def shorten(text: str) -> str:
    """Return a text as an answer repeats it."""
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def build_rule(
    pointer: str, rule: str, message: str, limit: float | str | None = None, actual: float | str | None = None
) -> dict[str, Any]:
    """Return a broken rule; what is None is left out."""
    values = {"pointer": pointer, "rule": rule, "message": message, "limit": limit, "actual": actual}
    return {name: value for name, value in values.items() if value is not None}


def describe_error(error: Any, pointer: str | None = None) -> dict[str, Any]:
    """Return the broken rule of one of pydantic's errors; by default the pointer is that of its location."""
    context = error.get("ctx", {})
    return build_rule(
        "".join(f"/{part}" for part in error["loc"]) if pointer is None else pointer,
        _RULES.get(error["type"], error["type"]),
        error["msg"].removeprefix("Value error, "),
        next((context[name] for name in _LIMITS if name in context), None),
        error["input"] if isinstance(error["input"], str | int | float) else None,
    )


def escape(name: str) -> str:
    """Return a name as a part of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")
