"""Install a lock file into .venv. `./run` calls this file with the Python that it found, before any package exists.

pip installs uv from a lock of its own, and uv installs the rest. `--no-deps` with a complete lock and a hash for each
file make the result independent of newer releases. pip's settings (index, certificate, proxy) apply. .venv/stamp lists
the locks that are completely installed; without it, .venv is created again.
"""

from __future__ import annotations

import ast
import contextlib
import fcntl
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
STAMP = VENV / "stamp"
FROM_LOCK = ("--require-hashes", "--no-deps", "--only-binary", ":all:")
IMPLIED_KINDS = {"local": ("local",), "dev": ("dev", "local")}  # the first lock contains the packages of the others
SOURCES_BY_ADDITION = {"pixels": ("pyvips",)}  # installed on top of the others; these packages have no wheel
BUILDER = r"(?m)^setuptools==[\w.]+"
UV_NAMES = {  # uv's name of each pip setting
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
    "trusted-host": "UV_INSECURE_HOST",
    "proxy": "ALL_PROXY",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "timeout": "UV_HTTP_TIMEOUT",
}
CAUSES = (  # installer output, and its meaning to a user; the first match counts
    (r"No space left|os error 28|Disk quota exceeded", "There is no space left: {venv} needs {megabytes} MB."),
    (
        r"(?i)failed to fetch|dns error|connection|timed? ?out|unreachable|name resolution|certificate|max retries",
        "The package index cannot be reached. Is this machine online? pip's settings (index-url, proxy) count.",
    ),
    (r"has no usable wheels|No matching distribution|was not found in", "A package is not available for {python}."),
    (r"(?i)permission denied|read-only file system", "{venv} cannot be written."),
)
MEGABYTES = {"local": 250, "dev": 800, "pixels": 25}


class InstallError(Exception):
    """The packages could not be installed; the message says why, in one line."""


def main(kind: str) -> int:
    """Install the packages of one lock, `local`, `dev` or `pixels`, if they are missing. Return the exit status."""
    try:
        with _hold_install_lock():
            if not is_installed(kind):
                install(kind)
    except KeyboardInterrupt:
        print("\nrun: interrupted; the next ./run installs the rest.", file=sys.stderr)
        return 130
    except (InstallError, OSError) as error:
        print(f"run: {describe_failure(str(error), kind)}", file=sys.stderr)
        return 1
    return 0


@contextlib.contextmanager
def _hold_install_lock() -> Iterator[None]:
    """Lock the project's folder against a second installation. The lock also ends with this process."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another ./run installs packages; waiting for it ...", file=sys.stderr)
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def lock_of(kind: str) -> Path:
    """Return the lock file of a kind of installation."""
    return ROOT / "deploy" / f"requirements-{kind}.lock"


def stamp_line(kind: str) -> str:
    """Return the line of an installed lock in the stamp. `run` computes the same line with cksum."""
    with lock_of(kind).open("rb") as lock:
        checksum = subprocess.run(["cksum"], stdin=lock, capture_output=True, text=True, check=True)  # noqa: S607
    return f"{kind} {checksum.stdout.strip()} {_environment_id()}"


def _environment_id() -> str:
    """Return what an environment depends on: its absolute path, which is in its files, and its Python version."""
    return f"{ROOT} Python {sys.version.split()[0]}"


def was_made_here(stamp: str) -> bool:
    """Whether the environment with this stamp was created in this folder, by this version of Python."""
    return any(line.endswith(f" {_environment_id()}") for line in stamp.splitlines())


def is_installed(kind: str) -> bool:
    """Whether the whole lock is installed, in this folder, by this version of Python."""
    return STAMP.exists() and stamp_line(kind) in STAMP.read_text(encoding="utf-8").splitlines()


def install(kind: str) -> None:
    """Create the environment, or keep a complete one, and install the lock into it."""
    began = time.monotonic()
    stamp = STAMP.read_text(encoding="utf-8") if STAMP.exists() else ""
    can_stay, kept = was_made_here(stamp), kept_lines(kind, stamp)
    if kind not in SOURCES_BY_ADDITION:  # if it fails to install, the rest is still complete
        STAMP.unlink(missing_ok=True)
    if not can_stay:
        _run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(VENV)], f"Creating .venv with {_python()}")
    with tempfile.TemporaryDirectory(prefix="installer-", dir=VENV) as folder:
        uv, settings = _install_uv(Path(folder))
        count = len(re.findall(r"^[\w.-]+==", lock_of(kind).read_text(encoding="utf-8"), re.MULTILINE))
        command = [*uv, "--quiet", "--python", str(VENV / "bin" / "python"), "--compile-bytecode", *FROM_LOCK]
        command += _prepare_builds(kind, command, settings)
        _run([*command, "-r", str(lock_of(kind))], f"Installing {count} packages", settings)
    lines = [*(kept if can_stay else []), *map(stamp_line, IMPLIED_KINDS.get(kind, (kind,)))]
    STAMP.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"Installed in {time.monotonic() - began:.0f} s.", file=sys.stderr)


def kept_lines(kind: str, stamp: str) -> list[str]:
    """Return the lines of a stamp that stay true: an addition and what it is added to do not replace each other."""
    lines = stamp.splitlines()
    return [line for line in lines if (kind in SOURCES_BY_ADDITION) != (line.split()[0] in SOURCES_BY_ADDITION)]


def _prepare_builds(kind: str, command: list[str], settings: Mapping[str, str]) -> list[str]:
    """Install the locked builder of packages that have no wheel: uv then fetches no other. Return uv's options."""
    packages = SOURCES_BY_ADDITION.get(kind, ())
    if packages:
        builder = re.findall(BUILDER, lock_of(kind).read_text(encoding="utf-8"))
        _run([*command, "-c", str(lock_of(kind)), *builder], "Installing the builder", settings)
    return ["--no-build-isolation", *(f"--no-binary={name}" for name in packages)] if packages else []


def _install_uv(folder: Path) -> tuple[list[str], Mapping[str, str]]:
    """Install uv with Python's own pip; return its command, and pip's settings as environment variables for uv."""
    _run([sys.executable, "-m", "venv", str(folder)], "Preparing the installer")
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--no-input", "--disable-pip-version-check"]
    _run([*pip, "install", "--quiet", *FROM_LOCK, "-r", str(lock_of("installer"))], "Fetching the installer")
    listed = subprocess.run([*pip, "config", "list"], capture_output=True, text=True, check=False)  # noqa: S603
    settings = pip_settings(listed.stdout)
    offline = ["--no-index"] if settings.get("no-index") in {"1", "true", "True"} else []
    return [str(folder / "bin" / "uv"), "pip", "install", *offline], uv_settings(settings)


def pip_settings(listed: str) -> dict[str, str]:
    """Parse the output of `pip config list`. As in pip, the last value counts."""
    settings = {}
    for line in listed.splitlines():
        place, _, value = line.partition("=")
        with contextlib.suppress(ValueError, SyntaxError):
            settings[place.rpartition(".")[2]] = str(ast.literal_eval(value))
    return settings


def uv_settings(pip: Mapping[str, str]) -> dict[str, str]:
    """Translate pip's settings into environment variables for uv. Variables that are set already stay."""
    places = [place for place in pip.get("find-links", "").split() if "://" in place or Path(place).exists()]
    given = {**pip, "find-links": ",".join(places)}
    settings = {uv: given[name] for name, uv in UV_NAMES.items() if given.get(name) and uv not in os.environ}
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home())
    if not os.access(home, os.W_OK):
        settings["UV_NO_CACHE"] = "1"
    # Like pip: a file may come from any index, because its hash is checked.
    return {**settings, "UV_PYTHON_DOWNLOADS": "never", "UV_INDEX_STRATEGY": "unsafe-best-match"}


def _run(command: Sequence[str], what: str, settings: Mapping[str, str] | None = None) -> None:
    """Run a program; a terminal shows the elapsed time. Raises InstallError with the program's output if it fails."""
    shows_time = sys.stderr.isatty()
    print(f"{what} ...", end="" if shows_time else "\n", file=sys.stderr, flush=True)
    began = time.monotonic()
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen(command, env={**os.environ, **(settings or {})}, stdout=output, stderr=output)  # noqa: S603
        while process.poll() is None:
            if shows_time:
                print(f"\r{what} ... {time.monotonic() - began:.0f} s", end="", file=sys.stderr, flush=True)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)
        if shows_time:
            print(file=sys.stderr)
        output.seek(0)
        if process.returncode:
            raise InstallError(output.read())


def describe_failure(output: str, kind: str) -> str:
    """Return one line about a failed program: the cause, and the last line of its output."""
    python, venv = _python(), str(VENV)
    for pattern, sentence in CAUSES:
        if re.search(pattern, output):
            cause = sentence.format(python=python, venv=venv, megabytes=MEGABYTES[kind])
            break
    else:
        cause = "The packages could not be installed."
    lines = [
        line.strip() for line in output.splitlines() if line.strip() and not line.startswith(("WARNING", "[notice]"))
    ]
    return f"{cause} ({lines[-1][:200]})" if lines else cause


def _python() -> str:
    return f"Python {sys.version.split()[0]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
