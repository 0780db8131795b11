"""Packages of other people that the tests run beside the page or compare with, fetched once and known by their hash."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from base64 import b64encode
from hashlib import sha512
from pathlib import Path

import pytest

CACHE = Path(__file__).resolve().parent.parent.parent / ".cache" / "npm"
SHA512 = {  # `npm view NAME@VERSION dist.integrity`
    "axios-1.21.1": "6eI5Q/Y4u/Um9dDlsRoq5pY2rxnUTv+L4PpLitnbk/i4jb3MxLZ5CsN5Ih3IysbeRYK4pR+P7qfMsOQl9fwwFQ==",
    "axe-core-4.14.1": "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
    "dropzone-6.3.5": "voAoyVj3ZyFwoUVkKMmtfCrp7gbjqKJv3gNCsz0lW1lApcmKILBCbCgBU64hJF4LC4+cs6+peXhsn122fPQqsw==",
    "filepond-4.32.12": "wro0/deLwua9CkL7HJygOlDaPo1c7Ov8kfzbZjH7m4hdi56gdHGDeRWnYa+qXnRm3Lty69gUGVFb3JZy/9vT8g==",
    "jasmine-core-5.9.0": "OMUvF1iI6+gSRYOhMrH4QYothVLN9C3EJ6wm4g7zLJlnaTl8zbaPOr0bTw70l7QxkoM7sVFOWo83u9B2Fe2Zng==",
    "swagger-ui-dist-5.35.0": (
        "U06rpMtW9V3XPGOBeamTUSr0Z09jMX4IJuANpE/EZbAhw0G8CgwrzU4YmXkn/h0wCDNsXdGarTNNHC3sU8yVUQ=="
    ),
    "tus-js-client-4.3.1": "ZLeYmjrkaU1fUsKbIi8JML52uAocjEZtBx4DKjRrqzrZa0O4MYwT6db+oqePlspV+FxXJAyFBc/L5gwUi2OFsg==",
    "uppy-6.0.1": "2OONMUNUHGBNkfSjNpWDhleeCeqm2oP+8NJRSxkkFVLmm3BbE7S+XCm45+jp36z7PCRuogtm1FgYPKa0iKbYAQ==",
}


def read_package_file(package: str, path: str) -> str:
    """Return the text of one file of a package; without npm the test is skipped, in CI it fails."""
    archive = CACHE / f"{package}.tgz"
    if not archive.exists():
        _fetch(package)
    found = b64encode(sha512(archive.read_bytes()).digest()).decode()
    assert found == SHA512[package], f"{archive} is not what it was: remove it, or look into it"
    with tarfile.open(archive) as files:
        member = files.extractfile(f"package/{path}")
        assert member is not None
        return member.read().decode()


def _fetch(package: str) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    npm = shutil.which("npm")
    name, _, version = package.rpartition("-")
    command = [npm or "npm", "pack", "--silent", f"{name}@{version}"]
    if npm and subprocess.run(command, cwd=CACHE, capture_output=True, check=False, timeout=90).returncode == 0:
        return
    reason = f"npm could not fetch {name}@{version}" if npm else "npm is not on PATH: .ci/run shows how it gets there"
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
