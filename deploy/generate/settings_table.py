"""Regenerate the table of settings in deploy/docs/CONFIGURATION.md: python -m deploy.generate.settings_table."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from inspect import getdoc
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from pipeline.flower_settings import FlowerSettings
from pipeline.settings import Settings
from stages.limits import Limits

FILE = Path(__file__).resolve().parents[1] / "docs" / "CONFIGURATION.md"
BEGIN, END = "<!-- begin: written by ./run docs -->", "<!-- end -->"
LIMITS = {  # a dataclass in `stages`, which does not use pydantic and so has no descriptions
    "upload_bytes": "Bytes of a file.",
    "pixels": "Width x height of a still.",
    "animation_pixels": "Width x height of all frames together, if animated previews are asked for.",
    "frames": "Frames, if animated previews are asked for.",
    "side": "Width or height, in pixels.",
}


def render_settings(text: str) -> str:
    """Return the text with its table regenerated from the settings. Raises ValueError if a marker is missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the text has no {BEGIN} or no {END} after it")
    return before + "\n\n".join([BEGIN, *render_sections(), END]) + after


def render_sections() -> Iterator[str]:
    """Yield each section of the settings: a heading, a description, a table."""
    fields = Settings.model_fields
    parts = {name: field.default for name, field in fields.items() if isinstance(field.default, BaseModel | Limits)}
    plain = {name: field for name, field in fields.items() if name not in parts}
    yield _section("General", "What every process reads.", _rows("DARKROOM_", plain))
    for name, part in parts.items():
        about = (getdoc(type(part)) or "").partition("\n")[0]
        prefix = f"DARKROOM_{name.upper()}__"
        rows = _limits(prefix, part) if isinstance(part, Limits) else _rows(prefix, type(part).model_fields)
        yield _section(name.replace("_", " ").capitalize(), about, rows)
    about = (getdoc(FlowerSettings) or "").partition("\n")[0]
    yield _section("Flower", about, _rows("DARKROOM_FLOWER_", FlowerSettings.model_fields))


def _section(title: str, about: str, rows: Iterator[tuple[str, str, str]]) -> str:
    lines = [f"| `{name}` | {default} | {meaning} |" for name, default, meaning in rows]
    return "\n".join([f"### {title}", "", about, "", "| variable | default | meaning |", "|---|---|---|", *lines])


def _rows(prefix: str, fields: dict[str, FieldInfo]) -> Iterator[tuple[str, str, str]]:
    for name, field in fields.items():
        if not field.description:
            raise ValueError(f"{prefix}{name.upper()} has no description")
        yield f"{prefix}{name.upper()}", _format_default(_default(field)), field.description


def _limits(prefix: str, limits: Limits) -> Iterator[tuple[str, str, str]]:
    for name in Limits.__dataclass_fields__:
        yield f"{prefix}{name.upper()}", _format_default(getattr(limits, name)), LIMITS[name]


def _default(field: FieldInfo) -> Any:
    default = field.get_default(call_default_factory=True, validated_data={})
    return "" if default is PydanticUndefined else default


def _format_default(default: Any) -> str:
    """Return the default as written in the environment. The current folder is replaced, so that it does not matter."""
    if default == "":
        return ""
    text = str(default) if isinstance(default, str | Path) else json.dumps(default)
    return f"`{text.replace(Path.cwd().as_uri(), 'file://…')}`"


def main() -> None:
    """Write the file."""
    argparse.ArgumentParser(prog="./run docs", description=__doc__).parse_args()
    FILE.write_text(render_settings(FILE.read_text(encoding="utf-8")), encoding="utf-8")
    print(FILE)


if __name__ == "__main__":
    main()
