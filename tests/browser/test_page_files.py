"""The page's files: small, flat to load, without anything the policy forbids, and without words that are missing."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from deploy.local.frontend_server import CLIENT

PAGE = Path("deploy/frontend")
INDEX = (PAGE / "index.html").read_text(encoding="utf-8")
FILES = {path.relative_to(PAGE).as_posix(): path for path in PAGE.rglob("*.*")} | {"client.js": CLIENT}
MODULES = {name: path.read_text(encoding="utf-8") for name, path in FILES.items() if path.suffix == ".js"}
FIRST_LOAD_BYTES = 70_000
"""All but `LATE`: a module that is loaded late is missing when the server is away.

5,000 of them are what the client does for other pages only: tokens, pictures, retries.
"""
LATE = {
    "js/addresses.js",
    "js/job-more.js",
    "js/locales/ru-problems.js",
    "js/presets.js",
    "js/selection.js",
    "js/views/webhooks.js",
    "js/zip.js",
}
"""What is of use with the server only, and loaded when it is needed, with what it imports."""
LATE_FAMILIES = {"hook", "delivery", "try"}  # words by what the API says
FAMILIES = {"status", "state", "kind", "stage", "format"}  # words by what the API says


def needed(module: str) -> set[str]:
    """Return a module and all that it imports before it runs."""
    found, waiting = {module}, [module]
    while waiting:
        here = waiting.pop()
        for name in re.findall(r'^(?:import|export)[^;]*? from "([^"]+)";', MODULES[here], re.MULTILINE):
            path = (PAGE / here).parent.joinpath(name).resolve().relative_to(PAGE.resolve()).as_posix()
            if path not in found:
                found.add(path)
                waiting.append(path)
    return found


def words(language: str) -> set[str]:
    """Return the keys of a dictionary: `en-late` are the words of the parts that are loaded late."""
    return set(re.findall(r'^  "?([\w.]+)"?: ["{]', MODULES[f"js/locales/{language}.js"], re.MULTILINE))


def said_in(text: str) -> set[str]:
    """Return the words that a text of modules or of the page names."""
    said = set(re.findall(r'\bt\(\s*(?:active \? )?"([\w.]+)"', text))
    said |= set(re.findall(r'data-t(?:-label)?="([\w.]+)"', text))
    return said | set(re.findall(r'"([a-z_]+\.[a-z_]+(?:\.[a-z_]+)*)"', text)) & (words("en") | words("en-late"))


def unsaid(dictionary: set[str], text: str, families: set[str]) -> set[str]:
    """Return the words of a dictionary that a text does not name, and that are of no family."""
    families = families | set(re.findall(r"`([\w.]+)\.\${", text))
    return {key for key in dictionary - said_in(text) if not any(key.startswith(f"{family}.") for family in families)}


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("js/locales/")])
def test_a_word_is_written_once(module: str) -> None:
    for words in re.findall(r"^export const \w+ = \{\n(.*?)^\}", MODULES[module], re.MULTILINE | re.DOTALL):
        keys = re.findall(r'^  "?([\w.]+)"?:', words, re.MULTILINE)

        assert [key for key in set(keys) if keys.count(key) > 1] == []


def test_every_module_of_the_first_load_is_asked_for_at_once() -> None:
    preloaded = re.findall(r'<link rel="modulepreload" href="([^"]+)">', INDEX)

    assert set(preloaded) | {"js/main.js"} == needed("js/main.js")
    assert len(preloaded) == len(set(preloaded))


def test_only_what_needs_the_server_is_loaded_late() -> None:
    late = {
        path.resolve().relative_to(PAGE.resolve()).as_posix()
        for name, text in MODULES.items()
        for path in [(PAGE / name).parent / found for found in re.findall(r'\bimport\("([^"]+)"\)', text)]
    }

    assert set.union({"js/theme.js"}, *(needed(module) for module in {"js/main.js", *LATE})) == set(MODULES)
    assert late == LATE


def test_the_first_load_is_small() -> None:
    files = needed("js/main.js")
    files |= {"js/theme.js", "style.css", "index.html", "icon.svg", "settings.json"}

    loaded = sum(len(gzip.compress(FILES[name].read_bytes(), 6)) for name in files)

    assert loaded < FIRST_LOAD_BYTES


def test_nothing_is_inline_and_nothing_comes_from_elsewhere() -> None:
    assert re.findall(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", INDEX) == []
    assert re.findall(r'(?:src|href)="(?:https?:)?//', INDEX) == []
    for name, text in MODULES.items():
        assert re.findall(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text) == [], name
        assert re.findall(r'(?:import|from)\s*\(?"(?:https?:)?//', text) == [], name


def test_every_check_of_readyz_has_a_name() -> None:
    checks = {f"health.check.{name}" for name in ("mongo", "blobs", "redis", "rabbitmq", "disk", "presets")}

    assert checks <= words("en") & words("ru")


def test_every_word_that_is_said_is_in_the_dictionary_and_every_word_there_is_said() -> None:
    first = needed("js/main.js") | {"js/theme.js"}
    texts = {name: code for name, code in MODULES.items() if not name.startswith("js/locales/")}
    early = "\n".join(code for name, code in texts.items() if name in first) + INDEX
    late = "\n".join(code for name, code in texts.items() if name not in first)

    assert said_in(early) - words("en") == set()
    assert said_in(late) - words("en") - words("en-late") == set()
    assert words("en") & words("en-late") == set()
    assert unsaid(words("en"), early + late, FAMILIES) == set()
    assert unsaid(words("en-late"), late, LATE_FAMILIES) == set()
