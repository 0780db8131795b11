"""The variables that Compose and `./run up` would read: those of the environment, then those of `.env`."""

from __future__ import annotations

import os
import re
from pathlib import Path

LINE = re.compile(
    r"""\s*(?:export\s+)?(?P<name>\w+)\s*[=:]\s*(?:(?P<quote>['"])(?P<quoted>.*?)(?P=quote)|(?P<plain>.*?))(?:\s+\#.*)?\s*$"""
)


def read_variables(file: Path) -> dict[str, str]:
    """Return all variables that are not empty. This is no complete parser of the file: it reads plain lines."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    matches = [LINE.match(line) for line in lines if not line.lstrip().startswith("#")]
    of_file = {match["name"]: match["quoted"] or match["plain"] for match in matches if match}
    return {name: value for name, value in {**of_file, **os.environ}.items() if value}
