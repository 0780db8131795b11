"""The data folder of `./run up`: its path, whether a stack runs on it, and the stores of that stack."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = "lock"
STORES = "stores.json"


def find_home() -> Path:
    """Return the data folder: DARKROOM_HOME, else .darkroom in the checkout."""
    return Path(os.environ.get("DARKROOM_HOME") or ROOT / ".darkroom")


def has_running_stack(folder: Path) -> bool:
    """Whether a stack runs on the folder. A stack that is starting or stopping counts."""
    try:
        lock = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def write_stores(folder: Path, *, mongo_url: str, blob_url: str) -> None:
    """Record the stores of the stack on this folder. Only the owner can read the file: URLs can contain passwords."""
    unfinished = folder / f"{STORES}.new"
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump({"mongo_url": mongo_url, "blob_url": blob_url}, file)
    unfinished.replace(folder / STORES)


def read_stores(folder: Path) -> dict[str, str]:
    """Return the stores of the stack last started on this folder, as settings; empty if there was none."""
    try:
        stores: dict[str, str] = json.loads((folder / STORES).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return stores
