"""Mistakes in the settings: all of them at once, a line each, without the values, which may be passwords."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings

from pipeline.flower_settings import FlowerSettings
from pipeline.settings import Settings
from pipeline.variable_names import PREFIX, KnownNames, find_unknown_names

KNOWN_NAMES = KnownNames([Settings, FlowerSettings])
SECRET_KEYS = ("api_keys", "signing_secrets")  # what is meant for a value may be there as a key
NO_JSON = {
    "dict_type": 'an object, such as {"a": 1}',
    "model_type": 'an object, such as {"a": 1}',
    "dataclass_type": 'an object, such as {"a": 1}',
    "list_type": 'a list, such as ["a", "b"]',
    "tuple_type": 'a list, such as ["a", "b"]',
}


def stop_on_mistakes(*models: type[BaseSettings]) -> None:
    """End the process with status 1 and a line for each mistake in these settings; by default, those of a worker."""
    if mistakes := find_mistakes(*models):
        raise SystemExit("\n".join(f"darkroom: {mistake}" for mistake in mistakes))


def find_mistakes(*models: type[BaseSettings]) -> list[str]:
    """Return a line for each mistake: names that nothing reads first, then values."""
    with without_mistakes(*models) as mistakes:
        return mistakes


@contextmanager
def without_mistakes(*models: type[BaseSettings]) -> Iterator[list[str]]:
    """Yield the lines of all mistakes, and hide the variables that have them until the end of the block."""
    unknown = find_unknown_names(os.environ, KNOWN_NAMES)
    lines = dict.fromkeys([*map(_describe_unknown, unknown), *_find_unknown_files(), *_find_misplaced()])
    with _hidden_variables() as hide:
        hide(unknown)
        for model in models or (Settings,):
            for prefix, error in _find_invalid(model, hide):
                lines[_describe_error(prefix, error)] = None
        yield list(lines)


@contextmanager
def _hidden_variables() -> Iterator[Any]:
    """Yield a function that hides variables until the end of the block, and returns whether there were any.

    Settings are validated without those that are wrong, too: a check that compares several of them runs only then.
    """
    hidden: dict[str, str] = {}

    def hide(names: list[str]) -> bool:
        found = {name: os.environ.pop(name) for name in list(os.environ) if name in names}
        hidden.update(found)
        return bool(found)

    try:
        yield hide
    finally:
        os.environ.update(hidden)


def _find_invalid(model: type[BaseSettings], hide: Any) -> Iterator[tuple[str, ErrorDetails]]:
    """Yield each error with the prefix of the model."""
    prefix = str(model.model_config["env_prefix"])
    while True:
        try:
            model()
        except ValidationError as invalid:
            errors = invalid.errors(include_url=False, include_input=False)
            yield from ((prefix, error) for error in errors)
            wrong = {_name(prefix, error) for error in errors if error["loc"]}
            if hide([name for name in os.environ if any(_sets(name.upper(), each) for each in wrong)]):
                continue
        return


def _sets(variable: str, name: str) -> bool:
    """Whether a variable sets this setting, a part of it, or the whole section it is in."""
    return f"{variable}__".startswith(f"{name}__") or name.startswith(f"{variable}__")


def _name(prefix: str, error: ErrorDetails) -> str:
    """Return the name of a setting. A path into its value is not part of it."""
    top, *rest = map(str, error["loc"])
    name = f"{prefix}{top}".upper()
    inner = f"{name}__{rest[0]}".upper() if rest else name
    is_part = error["type"] == "extra_forbidden" or inner in KNOWN_NAMES
    return inner if is_part and top not in SECRET_KEYS else name


def _describe_error(prefix: str, error: ErrorDetails) -> str:
    message = error["msg"].removeprefix("Value error, ").replace("Input should", "should", 1)
    if not error["loc"]:
        return message
    name = _name(prefix, error)
    if error["type"] == "extra_forbidden":
        return _describe_unknown(name)
    if example := NO_JSON.get(error["type"]):
        return f"{name}: should be {example}, in JSON"
    return f"{name}: {message}"


def _describe_unknown(name: str) -> str:
    suggestion = KNOWN_NAMES.suggest(name)
    question = f"Did you mean {suggestion}?" if suggestion else "deploy/docs/CONFIGURATION.md lists all names."
    return f"{name}: there is no such setting. {question}"


def _find_unknown_files() -> Iterator[str]:
    """Yield a line for each file of the secrets folder that would be a setting but for its name."""
    folder = os.environ.get("DARKROOM_SECRETS_DIR")
    if not folder or not Path(folder).is_dir():
        return
    for file in sorted(path.name for path in Path(folder).iterdir()):
        name = file.upper()
        if name.startswith(PREFIX) and name not in KNOWN_NAMES.top_level:
            suggestion = KNOWN_NAMES.suggest(name) or ""
            question = f"Did you mean {suggestion.lower()}?" if suggestion in KNOWN_NAMES.top_level else ""
            yield f"{folder}/{file}: no setting is read from this file. {question}".rstrip()


def _find_misplaced() -> Iterator[str]:
    """Yield a line for each known name in a wrong place, where it would have no effect."""
    for name, noun in (("DARKROOM_API_KEY", "key"), ("DARKROOM_SIGNING_SECRET", "secret")):
        if os.environ.get(name, "").lstrip().startswith("{"):
            yield f"{name}: is the {noun} of a client. Did you mean {name}S?"
    given, used = os.environ.get("DARKROOM_GIVEN_BLOB_URL", ""), os.environ.get("DARKROOM_BLOB_URL", "")
    if urlsplit(given).scheme not in {"", "file"} and urlsplit(used).scheme == "file":
        yield (
            "DARKROOM_BLOB_URL: a bucket has no effect in containers without outside.yml. Name it in .env: "
            "COMPOSE_FILE=compose.yml:outside.yml, in a checkout docker-compose.yml:deploy/compose/outside.yml"
        )
