"""The locks hold whatever is released after them: each is installed beside newer releases of all that it pins.

Two tiny wheels stand in for every package of a lock, one of the pinned version and one that is newer. Each asks for its
dependencies in the way that older pips do not bind to a pin: with an extra, and without an upper bound.
"""

from __future__ import annotations

import base64
import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted([*ROOT.glob("deploy/requirements*.lock"), *ROOT.glob(".github/*.lock")])
INSTALLERS = (
    "run",
    "deploy/local/install.py",
    "deploy/docker/Dockerfile",
    "deploy/docker/test.Dockerfile",
    ".github/workflows/ci.yml",
)
FETCH_SECONDS = 180
OLDEST_PIP = {  # with a Python of its time: that of Debian 12, and those that came with later ones
    (3, 11): "23.0 --hash=sha256:b5f88adff801f5ef052bcdef3daa31b55eb67b0fccd6d0106c206fa248e0463c",
    (3, 12): "23.2.1 --hash=sha256:7ccf472345f20d35bdc9d1841ff5f313260c2c33fe417f48c30ac46cccabf5be",
}.get(sys.version_info[:2], "24.2 --hash=sha256:2cd581cf58ab7fcfca4ce8efa6dcacd0de5bf8d0a3eb9ec927e07405f4d9e2a2")


@dataclass
class Pin:
    """One package of a lock."""

    version: str
    needs: list[str] = field(default_factory=list)


def pins_of(lock: Path) -> dict[str, Pin]:
    """Read a lock: the version of each package, and what it needs by the comments that say why a package is there."""
    text = lock.read_text(encoding="utf-8")
    pins = {name: Pin(version) for name, version in re.findall(r"^([\w.-]+)==([\w.!+]+)", text, re.MULTILINE)}
    for entry in re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]:
        name, comments = entry.partition("==")[0], entry.partition("# via")[2]
        for parent in re.findall(r"[\w.-]+", comments):
            if parent in pins and parent != name:
                pins[parent].needs.append(name)
    return pins


def tiny_wheel(folder: Path, name: str, version: str, needs: Mapping[str, Pin]) -> str:
    """Write a wheel that holds nothing but its requirements; its hash."""
    stem = f"{name.replace('-', '_').replace('.', '_')}-{version}"
    requirements = "".join(f"Requires-Dist: {other}[more]>={pin.version}\n" for other, pin in needs.items())
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nProvides-Extra: more\n{requirements}"
    files = {
        f"{stem}.dist-info/METADATA": metadata,
        f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},sha256={_digest(text)},{len(text)}\n" for path, text in files.items())
    files[f"{stem}.dist-info/RECORD"] = f"{record}{stem}.dist-info/RECORD,,\n"
    wheel = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return sha256(wheel.read_bytes()).hexdigest()


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(sha256(text.encode()).digest()).rstrip(b"=").decode()


def newer(version: str) -> str:
    """Return a version that is released after another."""
    parsed = Version(version)
    return f"{f'{parsed.epoch}!' if parsed.epoch else ''}{parsed.major + 1}.0"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Path]:
    """For each lock a folder with its wheels, and the lock with their hashes, called `lock`."""
    folders = {}
    for lock in LOCKS:
        folder = folders[lock] = tmp_path_factory.mktemp("wheels")
        pins, lines = pins_of(lock), []
        for name, pin in pins.items():
            needs = {other: pins[other] for other in pin.needs}
            digest = tiny_wheel(folder, name, pin.version, needs)
            tiny_wheel(folder, name, newer(pin.version), needs)
            lines.append(f"{name}=={pin.version} --hash=sha256:{digest}\n")
        (folder / "lock").write_text("".join(lines), encoding="utf-8")
    return folders


@pytest.fixture(scope="module")
def old_pip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the oldest pip that this Python is found with, kept from one run to the next."""
    folder = ROOT / ".cache" / f"pip-{OLDEST_PIP.split()[0]}"
    if not (folder / "pip").exists():
        requirement = tmp_path_factory.mktemp("pip") / "pip.lock"
        requirement.write_text(f"pip=={OLDEST_PIP}\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--require-hashes"]
        subprocess.run([*command, "--target", str(folder), "-r", str(requirement)], check=True, timeout=FETCH_SECONDS)
    return folder


def flags_of(file: str) -> list[str]:
    """Return the flags with which a file of the project has a lock installed."""
    text = (ROOT / file).read_text(encoding="utf-8").replace("\\\n", " ")
    commands = re.findall(r"install .*--require-hashes.*|^FROM_LOCK = .*", text, re.MULTILINE)
    assert commands, f"{file} installs no lock"
    return sorted({flag for command in commands for flag in re.findall(r"--(?:require-hashes|no-deps)", command)})


@pytest.mark.parametrize("file", INSTALLERS)
def test_every_lock_is_installed_by_its_hashes_and_without_resolving(file: str) -> None:
    flags = flags_of(file)

    assert flags == ["--no-deps", "--require-hashes"]


@pytest.mark.parametrize("installer", ["oldest pip", "newest pip", "uv"])
@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_holds_when_all_that_it_pins_is_released_anew(
    lock: Path, installer: str, wheels: dict[Path, Path], old_pip: Path, tmp_path: Path
) -> None:
    folder = wheels[lock]
    tool = ["-m", "uv", "pip"] if installer == "uv" else ["-m", "pip", "--disable-pip-version-check"]
    path = {"PYTHONPATH": str(old_pip)} if installer == "oldest pip" else {}
    flags = sorted({flag for file in INSTALLERS for flag in flags_of(file)})
    command = [
        *tool,
        "install",
        "--dry-run",
        "--no-index",
        "--find-links",
        str(folder),
        "--target",
        str(tmp_path),
        *flags,
    ]

    done = subprocess.run(
        [sys.executable, *command, "-r", str(folder / "lock")], capture_output=True, text=True, env=path, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    said = (done.stdout + done.stderr).replace("_", "-").lower()
    for name, pin in pins_of(lock).items():
        assert re.search(rf"\b{re.escape(name)}(?:-|==){re.escape(pin.version)}(?:\s|$)", said), f"{name}: {said}"
