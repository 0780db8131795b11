"""All steps by the names that preset files and requests write."""

from __future__ import annotations

from typing import Any

STEPS: dict[str, Any] = {}
