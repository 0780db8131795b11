"""Make an API key: the key for its owner, its SHA-256 for the gateway; neither is kept."""

from __future__ import annotations

import json
import re
import secrets
import sys
from hashlib import sha256

OWNER = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def main(arguments: list[str]) -> int:
    """Print a new key for the owner that is named."""
    if len(arguments) != 1 or not OWNER.fullmatch(arguments[0]):
        print("usage: ./run key OWNER    (letters, digits and _.-)", file=sys.stderr)
        return 2
    key = secrets.token_urlsafe(32)
    print(f"For {arguments[0]}, shown once:  {key}")
    print(f"For the gateway:  DARKROOM_API_KEYS='{json.dumps({arguments[0]: sha256(key.encode()).hexdigest()})}'")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
