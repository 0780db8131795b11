"""Create an API key: print the key for its owner and its SHA-256 for the gateway. Neither is stored.

./run key OWNER
docker compose exec gateway darkroom-server key OWNER

With --signing, create a secret instead: it signs the owner's tokens, in the gateway and in the owner's backend.
"""

from __future__ import annotations

import argparse
import json
import re
import secrets
import sys
from hashlib import sha256

OWNER = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def main(arguments: list[str]) -> int:
    """Print a new key for the owner named on the command line."""
    parser = argparse.ArgumentParser(
        prog="./run key", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "owner", metavar="OWNER", type=_parse_owner, help="name of the key's owner: letters, digits and _.-"
    )
    parser.add_argument("--signing", action="store_true", help="create a secret that signs tokens")
    options = parser.parse_args(arguments)
    owner, key = options.owner, secrets.token_urlsafe(32)
    if options.signing:
        use, name, value = "the backend", "SIGNING_SECRET", key
    else:
        use, name, value = "clients", "API_KEY", sha256(key.encode()).hexdigest()
    print(f"For {use} of {owner}, shown once:  DARKROOM_{name}={key}")
    print(f"For the gateway:  DARKROOM_{name}S='{json.dumps({owner: value})}'")
    return 0


def _parse_owner(text: str) -> str:
    if not OWNER.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid owner: use 1 to 64 letters, digits or _.-")
    return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
