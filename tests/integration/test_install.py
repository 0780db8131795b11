"""What `./run` does before anything is installed: in a folder of its own, offline, with locks of next to nothing."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from hashlib import sha256
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest

from deploy.local import install
from tests.support.programs import ROOT, start_program

PATIENCE_SECONDS = 90
ABSENT = f"absent-package==1.0 --hash=sha256:{'0' * 64}\n"


def uv_wheel(folder: Path) -> Path:
    """Put the installed uv into a wheel again."""
    uv = metadata.distribution("uv")
    tag = re.findall(r"^Tag: (\S+)$", uv.read_text("WHEEL") or "", re.MULTILINE)[0]
    wheel = folder / f"uv-{uv.version}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        paths = [file for file in uv.files or [] if file.suffix != ".pyc" and file.name != "RECORD"]
        names = [f"uv-{uv.version}.data/scripts/{file.name}" if "bin" in file.parts else str(file) for file in paths]
        for file, name in zip(paths, names, strict=True):
            archive.write(str(file.locate()), name)
        archive.writestr(f"uv-{uv.version}.dist-info/RECORD", "".join(f"{name},,\n" for name in names))
    return wheel


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with blanks in its path, whose locks name nothing but the installer; that one is at hand."""
    checkout = tmp_path / "all my photos"
    for folder in ("deploy/local", "deploy/admin"):
        (checkout / folder).mkdir(parents=True)
    for file in ("run", "deploy/local/install.py", "deploy/admin/key.py"):
        shutil.copy(ROOT / file, checkout / file)
    (checkout / "deploy" / "requirements-local.lock").touch()
    wheel = uv_wheel(tmp_path)
    pin = f"uv=={metadata.version('uv')} --hash=sha256:{sha256(wheel.read_bytes()).hexdigest()}\n"
    (checkout / "deploy" / "requirements-installer.lock").write_text(pin)
    return checkout


def run(checkout: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start `./run`, with one folder to find packages in."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(checkout),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(checkout.parent),
        "PYTHON": getattr(sys, "_base_executable", sys.executable),
    }
    pipe = subprocess.PIPE
    return start_program(str(checkout / "run"), *arguments, env=environment, stdout=pipe, stderr=pipe, text=True)


@pytest.mark.skipif(find_spec("ensurepip") is None, reason="this Python, as that of the image, makes no environments")
def test_an_installation_survives_an_interrupt_a_second_run_and_a_package_that_cannot_be_had(checkout: Path) -> None:
    stamp = checkout / ".venv" / "stamp"

    interrupted = run(checkout, "key", "shop")
    assert interrupted.stderr is not None
    while "Preparing the installer" not in interrupted.stderr.readline():
        assert interrupted.poll() is None
    os.killpg(interrupted.pid, signal.SIGINT)
    _, said = interrupted.communicate(timeout=PATIENCE_SECONDS)
    assert said.strip() == "run: interrupted; the next ./run installs the rest."
    assert interrupted.returncode in {130, -signal.SIGINT}  # as the shell pleases
    assert not stamp.exists()

    both = [run(checkout, "key", "shop") for _ in range(2)]
    answers = [each.communicate(timeout=PATIENCE_SECONDS) for each in both]
    assert [each.returncode for each in both] == [0, 0], answers
    assert all("DARKROOM_API_KEYS=" in out for out, _ in answers)
    assert sum("waiting for it" in said for _, said in answers) == 1
    assert sum("Installed in" in said for _, said in answers) == 1
    assert not list(stamp.parent.glob("installer-*"))

    for kind in ("local", "installer"):
        (checkout / "deploy" / f"requirements-{kind}.lock").write_text(ABSENT)
    failed = run(checkout, "key", "shop")
    out, said = failed.communicate(timeout=PATIENCE_SECONDS)
    assert (failed.returncode, out) == (1, "")
    assert re.fullmatch(r"run: A package is not available for Python \S+\. \(.*\)", said.splitlines()[-1]), said
    assert "Traceback" not in said
    assert not stamp.exists()


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            "error: Failed to install: x.whl\n  Caused by: No space left on device (os error 28)",
            "There is no space left",
        ),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            "There is no space",
        ),
        ("error: Failed to fetch: `https://index/x/`\n  Caused by: dns error: failed to lookup", "The package index"),
        (
            "WARNING: Retrying after connection broken by 'NewConnectionError'\nERROR: No connection",
            "The package index",
        ),
        (
            "Because absent was not found in the provided package locations and you require it",
            "A package is not available",
        ),
        (
            "Because cykooz-resizer==4.0.1 has no usable wheels and you require it",
            "A package is not available for Python",
        ),
        ("Error: [Errno 13] Permission denied: '/srv/darkroom/.venv'", f"{install.VENV} cannot be written"),
        ("error: something else", "The packages could not be installed"),
    ],
)
def test_a_failure_is_one_line_in_a_users_words(said: str, sentence: str) -> None:
    described = install.describe_failure(said, "local")

    assert described.startswith(sentence)
    assert "\n" not in described
    assert described.endswith(f"({said.splitlines()[-1].strip()})")


def test_an_environment_stays_in_its_folder_and_with_its_python() -> None:
    line = install.stamp_line("local")

    assert install.was_made_here(f"{line}\n")
    assert not install.was_made_here(f"{line}0\n"), "a later version that begins alike"
    assert not install.was_made_here(line.replace(str(install.ROOT), "/elsewhere"))


def test_an_addition_and_what_it_is_added_to_do_not_replace_each_other() -> None:
    stamp = "dev 1\nlocal 2\npixels 3\n"

    assert install.kept_lines("pixels", stamp) == ["dev 1", "local 2"]
    assert install.kept_lines("local", stamp) == ["pixels 3"]


def test_settings_of_pip_become_those_of_uv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    listed = f"""global.index-url='https://user:p%40ss@index.example/simple'
:env:.cert='/etc/ssl/own.pem'
user.find-links='\\n{tmp_path}\\n/nowhere\\nhttps://index.example/more'
global.timeout='180'"""

    settings = install.uv_settings(install.pip_settings(listed))

    assert settings["UV_DEFAULT_INDEX"] == "https://user:p%40ss@index.example/simple"
    assert settings["SSL_CERT_FILE"] == "/etc/ssl/own.pem"
    assert settings["UV_HTTP_TIMEOUT"] == "180"
    assert settings["UV_FIND_LINKS"] == f"{tmp_path},https://index.example/more"
