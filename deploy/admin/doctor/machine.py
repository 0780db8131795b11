"""The machine: memory, disk, processor, Python, clock."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from deploy.admin.findings import Finding, error, ok, warning

MIB, GIB = 1024**2, 1024**3
OUTBOUND_MIB = 278
"""Measured: the workers of `fetch` and `notify`, idle."""
IDLE_MIB, PEAK_MIB = 716 + OUTBOUND_MIB, 923 + OUTBOUND_MIB
"""Measured: all other containers on two cores, idle, and while fifty photos were processed."""
UP_MIB = 465
"""Measured: all processes of `./run up`, idle."""
COMFORTABLE_BYTES = 4 * GIB
SMALL_SETTINGS = {
    "DARKROOM_FETCH_CONCURRENCY": "1",
    "DARKROOM_NOTIFY_CONCURRENCY": "1",
    "DARKROOM_NORMALIZE_CONCURRENCY": "1",
    "DARKROOM_RESIZE_CONCURRENCY": "1",
    "DARKROOM_LIMITS__PIXELS": "24000000",
    "DARKROOM_LIMITS__ANIMATION_PIXELS": "40000000",
    "DARKROOM_WORK__MAX_IMAGE_MEMORY_MIB": "512",
    "DARKROOM_WORKER_MEMORY": "768m",
}
"""For a machine where the largest images of the defaults do not fit: as in DEPLOYMENT.md."""
IMAGES_GIB, ROOMY_GIB = 4, 10
MIN_PYTHON = (3, 11)
MAX_CLOCK_ERROR_US = 16_000_000  # what the kernel reports when nothing has set its clock
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def check_memory(total: int, available: int, *, needed_mib: int) -> Iterator[Finding]:
    """Yield whether a stack that takes `needed_mib` fits. Bytes; `available` is 0 where nobody knows."""
    text = f"{total / GIB:.1f} GiB" + (f", {available / GIB:.1f} available" if available else "")
    settings = "For example in .env: " + " ".join(f"{name}={value}" for name, value in SMALL_SETTINGS.items())
    if total < needed_mib * MIB:
        yield error(
            "memory", f"{text}: everything together takes {needed_mib} MiB", "Use a machine with 2 GiB or more."
        )
    elif available and available < needed_mib * MIB:
        yield warning(
            "memory", f"{text}: everything together takes {needed_mib} MiB", "Stop other programs, or add swap."
        )
    elif total < COMFORTABLE_BYTES:
        yield warning(
            "memory", f"{text}: enough for photos, but not for the largest images that the defaults allow", settings
        )
    else:
        yield ok("memory", text)


def read_memory() -> tuple[int, int]:
    """Return the total and the available bytes of this machine, or of the container that this is; 0 if unknown."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    available = 0
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        lines = (line.split() for line in meminfo.read_text(encoding="ascii").splitlines())
        available = {name: int(kib) * 1024 for name, kib, *_ in lines}.get("MemAvailable:", 0)
    limits = [Path(path).read_text(encoding="ascii").strip() for path in CGROUP_LIMITS if Path(path).exists()]
    total = min([total, *(int(limit) for limit in limits if limit.isdecimal())])
    return total, min(available, total)


def check_disk(folder: Path, *, needed_gib: float, roomy_gib: float) -> Iterator[Finding]:
    """Yield whether the disk of a folder has room; the folder need not exist yet."""
    while not folder.exists():
        folder = folder.parent
    try:
        disk = os.statvfs(folder)
    except OSError as failure:
        yield warning("disk", f"{folder} cannot be read: {failure.strerror}", "")
        return
    free = disk.f_bavail * disk.f_frsize
    text = f"{free / GIB:.1f} GiB are free at {folder}"
    if free < needed_gib * GIB:
        yield error("disk", f"{text}; {needed_gib:g} are needed", "Make room.")
    elif free < roomy_gib * GIB:
        yield warning("disk", f"{text}, which photos may soon fill", f"Make room for {roomy_gib:g} GiB.")
    elif disk.f_files and disk.f_favail < disk.f_files // 50:
        yield warning("disk", f"only {disk.f_favail} files can be created at {folder}", "Remove files, or enlarge it.")
    else:
        yield ok("disk", text)


def check_processor(machine: str, cpuinfo: str) -> Iterator[Finding]:
    """Yield whether MongoDB's image runs on this processor."""
    flags = next((line for line in cpuinfo.splitlines() if line.startswith("flags")), "")
    if machine == "x86_64" and flags and " avx " not in f"{flags} ":
        yield error(
            "processor",
            "it has no AVX, without which MongoDB 5 and newer end with `Illegal instruction`",
            "In a virtual machine, choose the processor of the host (`cpu: host`); or name another MongoDB.",
        )
    else:
        yield ok("processor", f"{os.cpu_count()} of {machine}")


def read_processor() -> tuple[str, str]:
    """Return the kind of the processor, and what Linux says of it."""
    cpuinfo = Path("/proc/cpuinfo")
    return platform.machine(), cpuinfo.read_text(encoding="utf-8", errors="replace") if cpuinfo.exists() else ""


def check_python(version: tuple[int, ...], *, has_venv: bool) -> Iterator[Finding]:
    """Yield whether `./run` can use this Python."""
    text = ".".join(map(str, version[:3]))
    if version < MIN_PYTHON:
        yield error("python", f"{text} is too old", "Install 3.11 or newer, or name one: PYTHON=python3.11 ./run up")
    elif not has_venv:
        yield error("python", f"{text} cannot create virtual environments", "On Debian: apt install python3-venv")
    else:
        yield ok("python", text)


def check_clock() -> Iterator[Finding]:
    """Yield whether something keeps the clock right; asks the kernel, which NTP programs tell. Linux only."""
    if sys.platform != "linux":
        return
    error_us = _read_clock_error()
    if error_us is None:
        yield ok("clock", "whether it is synchronized cannot be told here")
    elif error_us >= MAX_CLOCK_ERROR_US:
        yield warning("clock", "nothing synchronizes it", "Run systemd-timesyncd or chrony: timedatectl set-ntp true")
    else:
        yield ok("clock", f"synchronized, by at most {error_us / 1e6:.3f} s off")


def _read_clock_error() -> int | None:
    """Return the largest possible error of the clock in microseconds, from adjtimex(2), which only reads here."""

    class Timex(ctypes.Structure):
        _fields_ = (
            ("modes", ctypes.c_uint),
            ("offset", ctypes.c_long),
            ("freq", ctypes.c_long),
            ("maxerror", ctypes.c_long),
            ("rest", ctypes.c_char * 256),
        )

    try:
        state = Timex()
        done = ctypes.CDLL(None).adjtimex(ctypes.byref(state))
    except (OSError, AttributeError):
        return None
    return int(state.maxerror) if done >= 0 else None
