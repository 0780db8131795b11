"""The clients of deploy/docs/BROWSER.md, generated and run as they stand there, against a gateway that wants a key."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.images import decode_image, encode_image, photo
from tests.support.locked_tools import install_npm_tools, install_python_tools

PAGE = Path(__file__).resolve().parents[2] / "deploy/docs/BROWSER.md"
LOCKS = Path(__file__).parent / "openapi_tools"
ADDRESS, KEY = "http://127.0.0.1:8001", "key of gil"
BLOCK = re.compile(r"^```(?:sh|\w+ (\S+))\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TSC = "tsc --noEmit --target es2022 --module preserve --strict --skipLibCheck --types node upload.ts"
ESBUILD = "esbuild --log-level=error --bundle --platform=node --format=esm --outfile=upload.mjs upload.ts"
SECONDS = 120
OLDEST_NODE = 20


def write_example(title: str, folder: Path, url: str) -> list[str]:
    """Write the files of a section of the page, with this address and the key, and return its commands."""
    section = PAGE.read_text(encoding="utf-8").partition(f"### {title}\n")[2].partition("\n#")[0]
    section = re.sub(r"\bKEY\b", KEY, section.replace(ADDRESS, url))
    blocks: list[tuple[str, str]] = BLOCK.findall(section)
    for name, text in blocks:
        if name:
            (folder / name).write_text(text, encoding="utf-8")
    (folder / "photo.jpg").write_bytes(encode_image(photo(400, 300)))
    return [text.strip() for name, text in blocks if not name]


def run(command: str, folder: Path, environment: dict[str, str]) -> None:
    """Run a command, which must neither fail nor leave out a part of the API."""
    done = subprocess.run(
        shlex.split(command),
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert "WARNING parsing" not in done.stdout + done.stderr


def assert_preview(folder: Path) -> None:
    """Check what the program has fetched."""
    assert max(decode_image((folder / "small.jpg").read_bytes()).size) == 160


def test_the_python_client_uploads_waits_and_fetches(tmp_path: Path, direct: str) -> None:
    packages = install_python_tools(LOCKS / "requirements.lock")
    environment = {"PYTHONPATH": str(packages), "PATH": f"{packages / 'bin'}:{os.environ['PATH']}"}

    for command in write_example("Python: openapi-python-client", tmp_path, direct):
        run(
            command.replace("uvx openapi-python-client", f"{sys.executable} -m openapi_python_client"),
            tmp_path,
            environment,
        )
    run(f"{sys.executable} upload.py", tmp_path, environment)

    assert_preview(tmp_path)


def skip_with_old_node() -> None:
    """Skip where Node is older than the generators allow, such as in Debian 12."""
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.removeprefix("v").partition(".")[0]) < OLDEST_NODE:
        pytest.skip(f"the generators need Node {OLDEST_NODE}, and this is {version.strip()}")


@pytest.mark.parametrize("name", ["openapi-ts", "orval"])
def test_a_typescript_client_uploads_waits_and_fetches(tmp_path: Path, direct: str, name: str) -> None:
    programs = install_npm_tools(LOCKS)
    skip_with_old_node()
    environment = {"PATH": f"{programs}:{os.environ['PATH']}"}
    (tmp_path / "node_modules").symlink_to(programs.parent)

    for command in write_example(f"TypeScript: {name}", tmp_path, direct):
        run(command.replace("npx ", "").replace("@hey-api/", ""), tmp_path, environment)
    run(TSC, tmp_path, environment)
    run(ESBUILD, tmp_path, environment)
    run("node upload.mjs", tmp_path, environment)

    assert_preview(tmp_path)
