"""The lines of BROWSER.md that sign tokens and links, run as they stand there, by each language that is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.image_links import verify_link
from gateway.permission import Scope
from gateway.tokens import verify_token
from storage.clock import now_ms

SIGNING_KEY = "a-secret-of-the-shop-of-40-characters---"
PAGE = Path("deploy/docs/BROWSER.md").read_text(encoding="utf-8")
COMMANDS = {
    "python": [sys.executable, "-"],
    "js": ["node", "--input-type=commonjs", "-"],
    "php": ["php"],
    "ruby": ["ruby", "-"],
}
SECRETS = {"shop": [SecretStr(SIGNING_KEY)]}


def read_recipes(heading: str) -> dict[str, str]:
    """Return the recipes of a section, by their language."""
    section = re.split(r"^##", PAGE.partition(f"{heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    found = dict(re.findall(r"^```(\w+)\n(.*?)^```", section, re.MULTILINE | re.DOTALL))
    return {language: found[language] for language in found.keys() - {"html"}}


TOKENS, LINKS = read_recipes("### Sign tokens yourself"), read_recipes("## Links that make their picture")


def run(language: str, recipe: str) -> str:
    if shutil.which(COMMANDS[language][0]) is None:
        pytest.skip(f"not installed here: {language}")
    return subprocess.run(
        COMMANDS[language],
        input=recipe,
        env=os.environ | {"DARKROOM_SIGNING_SECRET": SIGNING_KEY},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


@pytest.mark.parametrize("recipes", [TOKENS, LINKS], ids=["tokens", "links"])
def test_there_is_a_recipe_for_each_language(recipes: dict[str, str]) -> None:
    assert recipes.keys() == COMMANDS.keys()


@pytest.mark.parametrize("language", COMMANDS)
def test_a_recipe_signs_a_link_that_is_valid(language: str) -> None:
    url = run(language, LINKS[language])

    path, _, query = url.removeprefix("https://photos.example/api").partition("?")
    others, _, signature = query.partition("&sig=")
    permission = verify_link(path, others.encode(), [signature], SECRETS, now_ms=now_ms())
    assert (permission.owner, permission.scope, path.count("/")) == ("shop", Scope.LINK, 4)


@pytest.mark.parametrize("language", COMMANDS)
def test_a_recipe_signs_a_token_that_is_valid(language: str) -> None:
    token = run(language, TOKENS[language])

    permission = verify_token(token, SECRETS, now_ms=now_ms())
    assert (permission.owner, permission.scope, permission.uses) == ("shop", Scope.UPLOAD, 1)
