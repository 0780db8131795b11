"""The passwords of docker-compose.yml: created at the first start, given to each container in a volume of its own.

    docker compose run --rm secrets show      the users and passwords of Flower and Grafana

`write` runs at every start: it creates missing passwords and writes each reader's files. A reader mounts only its own
folder, so the files may be readable by every user. MongoDB's scripts go the same way, to `mongo-scripts`.
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
MONGO_SCRIPTS = Path(__file__).parent / "mongo"
PASSWORDS = ("redis", "mongo_root", "mongo_darkroom", "flower", "grafana")
READERS = ("app", "redis", "mongo", "mongo-scripts", "flower", "prometheus", "grafana")
USER = "darkroom"

# Celery, Flower and the gateway use keys, lists, transactions, channels and scripts, but no command that flushes,
# configures, lists or stops a server. The health check's user may only send PING, so it needs no password.
# Nobody can log in as `default`: it is off and has no password. It has all rights because Redis replays the append-only
# file as this user and, without them, drops every transaction that is in the file (redis/redis#14541).
RIGHTS = "~* &* -@all +@read +@write +@connection +@transaction +@pubsub +@scripting -@admin -@dangerous +info +time"
ACL = """\
user default off resetpass ~* &* +@all
user {user} on #{digest} {rights}
user probe on nopass resetkeys resetchannels -@all +ping
"""


def load_passwords(folder: Path) -> dict[str, str]:
    """Return all passwords in `folder` by name. Create those that are missing."""
    passwords = {}
    for name in PASSWORDS:
        file = folder / name
        if not file.exists():
            _write(file, token_urlsafe(32), mode=0o400)
        passwords[name] = file.read_text(encoding="ascii")
    return passwords


def render_reader_files(passwords: Mapping[str, str]) -> dict[str, str]:
    """Return the content of every reader's files, by `reader/name`."""
    redis_url = f"redis://{USER}:{passwords['redis']}@redis:6379/0"
    acl = ACL.format(user=USER, rights=RIGHTS, digest=sha256(passwords["redis"].encode()).hexdigest())
    return {
        "app/darkroom_redis_url": redis_url,
        "app/darkroom_mongo_url": f"mongodb://{USER}:{passwords['mongo_darkroom']}@mongo:27017/darkroom",
        "redis/users.acl": acl,
        "mongo/root_password": passwords["mongo_root"],
        "mongo/darkroom_password": passwords["mongo_darkroom"],
        "flower/darkroom_redis_url": redis_url,
        "flower/darkroom_flower_password": passwords["flower"],
        "prometheus/flower_password": passwords["flower"],
        "grafana/admin_password": passwords["grafana"],
    }


def write_secrets(root: Path) -> None:
    """Create missing passwords, and update every reader's files."""
    scripts = {f"mongo-scripts/{file.name}": file.read_text(encoding="ascii") for file in MONGO_SCRIPTS.iterdir()}
    for path, content in (render_reader_files(load_passwords(root / "master")) | scripts).items():
        file = root / path
        if not file.exists() or file.read_text(encoding="ascii") != content:
            _write(file, content, mode=0o444)


def _write(file: Path, content: str, *, mode: int) -> None:
    """Write a file atomically: an interrupted start leaves no partial password."""
    unfinished = file.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)
    unfinished.chmod(mode)  # independent of the umask
    unfinished.replace(file)


def main(arguments: list[str]) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="secrets", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("action", choices=["write", "show"])
    chosen = parser.parse_args(arguments)
    write_secrets(ROOT)
    if chosen.action == "show":
        passwords = load_passwords(ROOT / "master")
        print(*(f"{name}  user {USER}  password {passwords[name]}" for name in ("flower", "grafana")), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
