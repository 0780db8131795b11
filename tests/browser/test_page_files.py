"""The page's files: small, flat to load, without anything the policy forbids, and without words that are missing."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

from deploy.local.frontend_server import CLIENT

PAGE = Path("deploy/frontend")
INDEX = (PAGE / "index.html").read_text(encoding="utf-8")
FILES = {path.relative_to(PAGE).as_posix(): path for path in PAGE.rglob("*.*")} | {"client.js": CLIENT}
MODULES = {name: path.read_text(encoding="utf-8") for name, path in FILES.items() if path.suffix == ".js"}
FIRST_LOAD_BYTES = 70_000
"""All but `LATE`: a module that is loaded late is missing when the server is away.

5,000 of them are what the client does for other pages only: tokens, pictures, retries.
"""
LATE = {"js/zip.js", "js/presets.js", "js/selection.js"}
"""What is of use with the server only, and loaded when it is needed."""
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
    """Return the keys of a dictionary."""
    return set(re.findall(r'^  "?([\w.]+)"?: ["{]', MODULES[f"js/locales/{language}.js"], re.MULTILINE))


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

    assert needed("js/main.js") | {"js/theme.js"} | LATE == set(MODULES)
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
    text = "\n".join(code for name, code in MODULES.items() if not name.startswith("js/locales/")) + INDEX
    said = set(re.findall(r'\bt\(\s*(?:active \? )?"([\w.]+)"', text)) | set(
        re.findall(r'data-t(?:-label)?="([\w.]+)"', text)
    )
    said |= set(re.findall(r'"([a-z_]+\.[a-z_]+(?:\.[a-z_]+)*)"', text)) & words("en")
    families = FAMILIES | set(re.findall(r"`([\w.]+)\.\${", text))

    assert said - words("en") == set()
    unsaid = {key for key in words("en") - said if not any(key.startswith(f"{family}.") for family in families)}
    assert unsaid == set()
