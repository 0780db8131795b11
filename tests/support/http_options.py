"""How the tests' HTTP clients reach a server on this machine: straight, and without TLS."""

from __future__ import annotations

from typing import Any

import httpx

from deploy.local.readiness import EMPTY_TLS_CONTEXT

HTTP_OPTIONS: dict[str, Any] = {"trust_env": False, "verify": EMPTY_TLS_CONTEXT}
"""Options of httpx' functions."""
HTTP_CLIENT_OPTIONS: dict[str, Any] = {**HTTP_OPTIONS, "limits": httpx.Limits(keepalive_expiry=2)}
"""Options of its clients. A gateway closes connections that were idle for 5 s: by then they must not be used again."""
