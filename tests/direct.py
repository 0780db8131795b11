"""How the tests' HTTP clients reach a server on this machine: straight, and without TLS."""

from __future__ import annotations

from typing import Any

from deploy.readiness import TRUSTS_NOBODY

DIRECT: dict[str, Any] = {"trust_env": False, "verify": TRUSTS_NOBODY}
"""Options of httpx."""
