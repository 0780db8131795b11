"""The commands of the README, pasted into a shell against a running gateway."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.local.stack import Stack
from tests.support.images import encode_image, photo

README = Path("README.md").read_text(encoding="utf-8")
API = README.partition("## The API")[2].partition("| route |")[0]
COMMANDS = "".join(re.findall(r"^```sh\n(.*?)^```", API, re.MULTILINE | re.DOTALL))
SHELLS = {"bash": ["bash", "-e", "-u", "-s"], "zsh": ["zsh", "-f", "-i", "-s"]}
"""zsh as a person has it: only that one takes no comments, and patterns in addresses."""


@pytest.mark.parametrize("shell", SHELLS)
def test_the_commands_of_the_api_work_as_pasted(stack: Stack, tmp_path: Path, shell: str) -> None:
    if missing := [program for program in (shell, "curl", "jq") if shutil.which(program) is None]:
        pytest.skip(f"not installed here: {', '.join(missing)}")
    (tmp_path / "photo.jpg").write_bytes(encode_image(photo(), "jpeg"))

    run = subprocess.run(
        SHELLS[shell],
        input=COMMANDS.replace("http://127.0.0.1:8001", stack.url),
        cwd=tmp_path,
        env=os.environ | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photo-large.jpg", "photo.jpg", "small.jpg"]
    assert run.stdout.count('"accepted"') == 4
    assert run.stdout.count('"done"') > 1
