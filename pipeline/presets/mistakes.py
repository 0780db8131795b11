"""Mistakes in files of presets: each with its file, its line, the path of its table, and a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic_core import ErrorDetails

Location = tuple[int | str, ...]
KEY = "[key]"
"""The end of pydantic's location of a key, as opposed to its value."""
LONGEST_VALUE = 40


@dataclass(frozen=True, slots=True)
class Mistake:
    """One broken rule. `path` is as in TOML, such as `product.renditions.card.width`; empty for the whole file."""

    file: str
    path: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        """Return the mistake as one line, with its place first, as compilers write it."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        text = ": ".join(filter(None, (place, self.path, self.message)))
        return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


class PresetMistakes(Exception):
    """The files of presets have mistakes: all of them are in `mistakes`."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = tuple(mistakes)


def write_path(location: Iterable[int | str]) -> str:
    """Return the path of a value as TOML writes it; the index of a list is in brackets."""
    path = ""
    for part in location:
        if part == KEY:
            continue
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def suggest(name: str, known: Iterable[str]) -> str:
    """Return `Did you mean ...?`, or all known names if none is like this one."""
    names = list(known)
    if found := get_close_matches(name.lower(), names, n=1, cutoff=0.6):
        return f"Did you mean {found[0]}?"
    return f"Use one of: {', '.join(names)}."


def describe_error(error: ErrorDetails, known: Iterable[str]) -> str:
    """Return a pydantic error as a sentence. `known` are the names that can stand where the error is."""
    kind, location, value = error["type"], error["loc"], error["input"]
    if kind in {"extra_forbidden", "unexpected_keyword_argument"}:
        return f"There is no such name. {suggest(str(location[-1]), known)}"
    if location[-1:] == (KEY,) and kind == "string_pattern_mismatch":
        return "A name is a small letter, and then at most 31 small letters, digits and _."
    if kind == "literal_error":
        choices = [choice.strip("'") for choice in error["ctx"]["expected"].replace(" or ", ", ").split(", ")]
        return f"{_show(value)} is not possible here. {suggest(str(value), choices)}"
    return _SENTENCES.get(kind) or _rephrase(error["msg"].removeprefix("Value error, "), value)


def _rephrase(message: str, value: Any) -> str:
    if not message.startswith("Input should "):
        return message if message.endswith((".", "?")) else f"{message}."
    wanted = message.removeprefix("Input should ")
    for pydantic_words, words in _WORDS.items():
        wanted = wanted.replace(pydantic_words, words)
    return f"It should {wanted}, not {_show(value)}."


_SENTENCES = {"missing": "It is missing.", "missing_argument": "It is missing.", "too_short": "It should not be empty."}
_WORDS = {
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid string": "a text",
    "a valid boolean": "true or false",
    "a valid dictionary": "a table",
    "a valid array": "a list",
    "a valid tuple": "a list",
    "an object": "a table",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "a dictionary or an instance of": "a table like",
}


def _show(value: Any) -> str:
    """Return a value of TOML as a person wrote it, shortened."""
    text = "true" if value is True else "false" if value is False else repr(value)
    if isinstance(value, dict | list | tuple):
        return "a table" if isinstance(value, dict) else "a list"
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."
