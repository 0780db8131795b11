"""Usage errors as one line each, in the words of the command line."""

from __future__ import annotations

import re
from typing import Any

import typer

UsageError: Any = typer.BadParameter.__mro__[1]
"""The base class of typer's usage errors, which typer does not export."""
REWORDED_MESSAGES = {
    r"Input should be greater than or equal to (\S+)": r"must be \1 or more",
    r"Input should be less than or equal to (\S+)": r"must be \1 or less",
    r"Input should be a valid integer.*": r"must be a whole number",
    r"Input should be a valid number.*": r"must be a number",
    r"dir (.+) is a file\.?": r"must be a folder: \1 is a file",
}


def usage_line(error: Any, program: str) -> str:
    """Return what is wrong with a command line, and the command that shows its help."""
    command = error.ctx.command_path if error.ctx else program
    return f"{command}: {_sentence(error)} See {command} --help."


def _sentence(error: Any) -> str:
    text = _sentence_of_value(error) or error.format_message()
    return text if text.endswith((".", "?")) else f"{text}."


def _sentence_of_value(error: Any) -> str | None:
    """Return what an option's value must be; None if pydantic's message is not in `REWORDED_MESSAGES`."""
    option = next(iter(getattr(getattr(error, "param", None), "opts", ())), None)
    for phrase, words in REWORDED_MESSAGES.items():
        if option and re.fullmatch(phrase, error.message):
            return f"{option} {re.sub(phrase, words, error.message)}"
    return None
