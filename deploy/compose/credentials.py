"""The passwords of docker-compose.yml: made once, at the first start, and handed to each container in its own volume.

    docker compose run --rm secrets show      what a person needs: the users and passwords of Flower and Grafana

`write`, which every start runs, makes the passwords that are missing and writes each reader's files. A reader mounts
its own folder only, so the files may be readable by whatever user it runs as.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe

ROOT = Path("/var/lib/darkroom/secrets")
PASSWORDS = ("redis", "mongo_root", "mongo_darkroom", "flower", "grafana")
READERS = ("app", "redis", "mongo", "flower", "prometheus", "grafana")
USER = "darkroom"

# Celery, Flower and the gateway use keys, lists, transactions, channels and scripts; nothing that empties, configures,
# lists or stops a server. The probe of the health check may say PING and nothing else, so it needs no password.
RIGHTS = "~* &* -@all +@read +@write +@connection +@transaction +@pubsub +@scripting -@admin -@dangerous +info +time"
ACL = """\
user default off
user {user} on #{digest} {rights}
user probe on nopass resetkeys resetchannels -@all +ping
"""


def load_passwords(folder: Path) -> dict[str, str]:
    """Return the password of each name, kept in `folder`; those that are missing are made."""
    found = {}
    for name in PASSWORDS:
        file = folder / name
        if not file.exists():
            _write(file, token_urlsafe(32), mode=0o400)
        found[name] = file.read_text(encoding="ascii")
    return found


def render_reader_files(known: Mapping[str, str]) -> dict[str, str]:
    """Return the content of every reader's files by `reader/name`."""
    redis_url = f"redis://{USER}:{known['redis']}@redis:6379/0"
    acl = ACL.format(user=USER, rights=RIGHTS, digest=sha256(known["redis"].encode()).hexdigest())
    return {
        "app/darkroom_redis_url": redis_url,
        "app/darkroom_mongo_url": f"mongodb://{USER}:{known['mongo_darkroom']}@mongo:27017/darkroom",
        "redis/users.acl": acl,
        "mongo/root_password": known["mongo_root"],
        "mongo/darkroom_password": known["mongo_darkroom"],
        "flower/darkroom_redis_url": redis_url,
        "flower/darkroom_flower_password": known["flower"],
        "prometheus/flower_password": known["flower"],
        "grafana/admin_password": known["grafana"],
    }


def write_secrets(root: Path) -> None:
    """Make what is missing, and bring every reader's files up to date."""
    for path, content in render_reader_files(load_passwords(root / "master")).items():
        file = root / path
        if not file.exists() or file.read_text(encoding="ascii") != content:
            _write(file, content, mode=0o444)


def _write(file: Path, content: str, *, mode: int) -> None:
    """Put a whole file in place, or none: a start that is interrupted leaves no half password."""
    unfinished = file.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)
    unfinished.chmod(mode)  # whatever the umask is
    unfinished.replace(file)


def main(arguments: list[str]) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="secrets", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("action", choices=["write", "show"])
    chosen = parser.parse_args(arguments)
    write_secrets(ROOT)
    if chosen.action == "show":
        known = load_passwords(ROOT / "master")
        print(*(f"{name}  user {USER}  password {known[name]}" for name in ("flower", "grafana")), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
