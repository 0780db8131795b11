"""Make .venv hold what a lock names: `./run` calls this file with the Python it found, before anything else is there.

uv installs, itself taken from a lock by pip. It asks nobody what is newest: `--no-deps` over a complete lock, and every
file compared with its hash, so that what a package released since changes nothing. pip's own settings (an index, a
certificate, a proxy) are followed. .venv/stamp says what was installed whole; without it .venv is made anew.
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
IMPLIED_KINDS = {
    "local": ("local",),
    "dev": ("dev", "local"),
}  # what a lock holds is held by the locks named first here
UV_NAMES = {  # of pip's settings
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
    "trusted-host": "UV_INSECURE_HOST",
    "proxy": "ALL_PROXY",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "timeout": "UV_HTTP_TIMEOUT",
}
CAUSES = (  # what an installer says, and what that means to a user; the first that fits
    (r"No space left|os error 28|Disk quota exceeded", "There is no space left: {megabytes} MB are needed in {venv}."),
    (
        r"(?i)failed to fetch|dns error|connection|timed? ?out|unreachable|name resolution|certificate|max retries",
        "The package index cannot be reached. Is this machine online? pip's settings (index-url, proxy) count.",
    ),
    (r"has no usable wheels|No matching distribution|was not found in", "A package is not to be had for {python}."),
    (r"(?i)permission denied|read-only file system", "{venv} cannot be written."),
)
MEGABYTES = {"local": 250, "dev": 800}


class InstallError(Exception):
    """The packages could not be installed; the message says why, in one line."""


def main(kind: str) -> int:
    """Install the packages of one lock, `local` or `dev`, unless they are there; the exit status."""
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
    """Hold the project's folder against a second installation; it is let go when this process ends."""
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
    """Return the line that stands in the stamp when a lock is installed; `run` writes the same with cksum."""
    with lock_of(kind).open("rb") as lock:
        checksum = subprocess.run(["cksum"], stdin=lock, capture_output=True, text=True, check=True)  # noqa: S607
    return f"{kind} {checksum.stdout.strip()} {_environment_id()}"


def _environment_id() -> str:
    """Return what an environment is bound to: absolute paths are written into it, and its Python has a version."""
    return f"{ROOT} Python {sys.version.split()[0]}"


def was_made_here(stamp: str) -> bool:
    """Whether the environment with this stamp was made here, by this version of Python."""
    return any(line.endswith(f" {_environment_id()}") for line in stamp.splitlines())


def is_installed(kind: str) -> bool:
    """Whether all that the lock names was installed, here, by this version of Python."""
    return STAMP.exists() and stamp_line(kind) in STAMP.read_text(encoding="utf-8").splitlines()


def install(kind: str) -> None:
    """Make the environment, or keep one that is whole, and bring it in step with the lock."""
    began = time.monotonic()
    can_stay = STAMP.exists() and was_made_here(STAMP.read_text(encoding="utf-8"))
    STAMP.unlink(missing_ok=True)
    if not can_stay:
        _run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(VENV)], f"Making .venv with {_python()}")
    with tempfile.TemporaryDirectory(prefix="installer-", dir=VENV) as folder:
        uv, settings = _install_uv(Path(folder))
        count = len(re.findall(r"^[\w.-]+==", lock_of(kind).read_text(encoding="utf-8"), re.MULTILINE))
        command = [*uv, "--quiet", "--python", str(VENV / "bin" / "python"), "--compile-bytecode", *FROM_LOCK]
        _run([*command, "-r", str(lock_of(kind))], f"Installing {count} packages", settings)
    STAMP.write_text("\n".join(map(stamp_line, IMPLIED_KINDS[kind])) + "\n", encoding="utf-8")
    print(f"Installed in {time.monotonic() - began:.0f} s.", file=sys.stderr)


def _install_uv(folder: Path) -> tuple[list[str], Mapping[str, str]]:
    """Install uv with the pip that comes with Python; return its command, and its settings as pip has them."""
    _run([sys.executable, "-m", "venv", str(folder)], "Preparing the installer")
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--no-input", "--disable-pip-version-check"]
    _run([*pip, "install", "--quiet", *FROM_LOCK, "-r", str(lock_of("installer"))], "Fetching the installer")
    listed = subprocess.run([*pip, "config", "list"], capture_output=True, text=True, check=False)  # noqa: S603
    settings = pip_settings(listed.stdout)
    offline = ["--no-index"] if settings.get("no-index") in {"1", "true", "True"} else []
    return [str(folder / "bin" / "uv"), "pip", "install", *offline], uv_settings(settings)


def pip_settings(listed: str) -> dict[str, str]:
    """Read what `pip config list` prints; what stands last counts, as for pip."""
    settings = {}
    for line in listed.splitlines():
        place, _, value = line.partition("=")
        with contextlib.suppress(ValueError, SyntaxError):
            settings[place.rpartition(".")[2]] = str(ast.literal_eval(value))
    return settings


def uv_settings(pip: Mapping[str, str]) -> dict[str, str]:
    """Translate pip's settings into uv's environment; what the environment has for uv already stays."""
    places = [place for place in pip.get("find-links", "").split() if "://" in place or Path(place).exists()]
    given = {**pip, "find-links": ",".join(places)}
    settings = {uv: given[name] for name, uv in UV_NAMES.items() if given.get(name) and uv not in os.environ}
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home())
    if not os.access(home, os.W_OK):
        settings["UV_NO_CACHE"] = "1"
    # As pip does: any index may have a file, its hash decides.
    return {**settings, "UV_PYTHON_DOWNLOADS": "never", "UV_INDEX_STRATEGY": "unsafe-best-match"}


def _run(command: Sequence[str], what: str, settings: Mapping[str, str] | None = None) -> None:
    """Run a program, and say on a terminal that it goes on; InstallError with what it said if it fails."""
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


def describe_failure(said: str, kind: str) -> str:
    """Turn what a program said when it failed into one line: the cause, and the last of what it said."""
    python, venv = _python(), str(VENV)
    for pattern, sentence in CAUSES:
        if re.search(pattern, said):
            cause = sentence.format(python=python, venv=venv, megabytes=MEGABYTES[kind])
            break
    else:
        cause = "The packages could not be installed."
    lines = [
        line.strip() for line in said.splitlines() if line.strip() and not line.startswith(("WARNING", "[notice]"))
    ]
    return f"{cause} ({lines[-1][:200]})" if lines else cause


def _python() -> str:
    return f"Python {sys.version.split()[0]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
