"""How the tests' HTTP clients reach a server on this machine: straight, and without TLS."""

from __future__ import annotations

import ssl
from typing import Any

DIRECT: dict[str, Any] = {"trust_env": False, "verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)}
"""Options of httpx. The context trusts nobody: to read whom this machine trusts takes 40 ms for each client."""
