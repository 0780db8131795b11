"""The lines of BROWSER.md that sign tokens, run as they stand there, by each language that is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.permission import Scope
from gateway.tokens import verify_token
from storage.clock import now_ms

SIGNING_KEY = "a-secret-of-the-shop-of-40-characters---"
SECTION = Path("deploy/docs/BROWSER.md").read_text(encoding="utf-8").partition("### Sign tokens yourself")[2]
RECIPES = dict(re.findall(r"^```(\w+)\n(.*?)^```", SECTION.partition("### ")[0], re.MULTILINE | re.DOTALL))
COMMANDS = {
    "python": [sys.executable, "-"],
    "js": ["node", "--input-type=commonjs", "-"],
    "php": ["php"],
    "ruby": ["ruby", "-"],
}


def test_there_is_a_recipe_for_each_language() -> None:
    assert RECIPES.keys() == COMMANDS.keys()


@pytest.mark.parametrize("language", COMMANDS)
def test_a_recipe_signs_a_token_that_is_valid(language: str) -> None:
    if shutil.which(COMMANDS[language][0]) is None:
        pytest.skip(f"not installed here: {language}")

    token = subprocess.run(
        COMMANDS[language],
        input=RECIPES[language],
        env=os.environ | {"DARKROOM_SIGNING_SECRET": SIGNING_KEY},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()

    permission = verify_token(token, {"shop": [SecretStr(SIGNING_KEY)]}, now_ms=now_ms())
    assert (permission.owner, permission.scope, permission.uses) == ("shop", Scope.UPLOAD, 1)
