"""The passwords of docker-compose.yml: created at the first start, given to each container in a volume of its own.

    docker compose run --rm secrets show                    the users and passwords of Flower and Grafana
    docker compose run --rm -T secrets export > secrets.tar    what workers.yml needs on another machine

`write` runs at every start: it creates missing passwords and writes each reader's files. With `--certificate`, as
open-stores.yml runs it, it also creates a certificate for Redis and MongoDB, and the authority that signs it. A reader
mounts only its own folder, so the files may be readable by every user. MongoDB's scripts go the same way, to
`mongo-scripts`.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from tempfile import TemporaryDirectory

ROOT = Path("/var/lib/darkroom/secrets")
MONGO_SCRIPTS = Path(__file__).parent / "mongo"
PASSWORDS = ("redis", "mongo_root", "mongo_darkroom", "flower", "grafana", "redis_exporter", "mongo_exporter")
READERS = (
    "app",
    "redis",
    "mongo",
    "mongo-scripts",
    "flower",
    "prometheus",
    "grafana",
    "redis-exporter",
    "mongo-exporter",
)
USER = "darkroom"
USER_ID = 10001  # of the image's user, who reads the exported files

# Workers elsewhere call the stores by the names that they have here: see `extra_hosts` of workers.yml.
STORE_NAMES = "subjectAltName=DNS:redis,DNS:mongo"
CERTIFICATE_DAYS = "3650"

# Celery, Flower and the gateway use keys, lists, transactions, channels and scripts, but no command that flushes,
# configures, lists or stops a server. The health check's user may only send PING, so it needs no password. The user of
# the exporter may look at the server, but at no key.
# Nobody can log in as `default`: it is off and has no password. It has all rights because Redis replays the append-only
# file as this user and, without them, drops every transaction that is in the file (redis/redis#14541).
RIGHTS = "~* &* -@all +@read +@write +@connection +@transaction +@pubsub +@scripting -@admin -@dangerous +info +time"
EXPORTER_RIGHTS = "+ping +info +slowlog|len +slowlog|get +latency|latest +latency|histogram"
ACL = """\
user default off resetpass ~* &* +@all
user {user} on #{digest} {rights}
user exporter on #{exporter} resetkeys resetchannels -@all {exporter_rights}
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
    digests = {name: sha256(passwords[name].encode()).hexdigest() for name in ("redis", "redis_exporter")}
    acl = ACL.format(
        user=USER,
        rights=RIGHTS,
        digest=digests["redis"],
        exporter=digests["redis_exporter"],
        exporter_rights=EXPORTER_RIGHTS,
    )
    return {
        "app/darkroom_redis_url": redis_url,
        "app/darkroom_mongo_url": f"mongodb://{USER}:{passwords['mongo_darkroom']}@mongo:27017/darkroom",
        "redis/users.acl": acl,
        "mongo/root_password": passwords["mongo_root"],
        "mongo/darkroom_password": passwords["mongo_darkroom"],
        "mongo/exporter_password": passwords["mongo_exporter"],
        "redis-exporter/passwords.json": json.dumps(  # older versions leave the user out
            {f"redis://{user}redis:6379": passwords["redis_exporter"] for user in ("exporter@", "")}
        ),
        "mongo-exporter/password": passwords["mongo_exporter"],
        "flower/darkroom_redis_url": redis_url,
        "flower/darkroom_flower_password": passwords["flower"],
        "prometheus/flower_password": passwords["flower"],
        "grafana/admin_password": passwords["grafana"],
    }


def write_secrets(root: Path, *, certificate: bool = False) -> None:
    """Create missing passwords, and a certificate where it is wanted; update every reader's files."""
    files = render_reader_files(load_passwords(root / "master"))
    files |= {f"mongo-scripts/{file.name}": file.read_text(encoding="ascii") for file in MONGO_SCRIPTS.iterdir()}
    if certificate:
        files |= render_certificate_files(load_certificate(root / "master"))
    for path, content in files.items():
        file = root / path
        if not os.access(file.parent, os.W_OK):  # the compose file of another version, which has no such reader
            print(f"secrets: {path} is not written, because its volume is not mounted", file=sys.stderr)
        elif not file.exists() or file.read_text(encoding="ascii") != content:
            _write(file, content, mode=0o444)


def load_certificate(folder: Path) -> dict[str, str]:
    """Return the stores' certificate and key, and that of the authority, as PEM. Create them if they are missing."""
    names = ("ca.key", "ca.pem", "server.key", "server.pem")  # in this order, so that the last one says all are there
    if not (folder / names[-1]).exists():
        with TemporaryDirectory() as made:
            authority, server = Path(made) / "ca", Path(made) / "server"
            _sign(authority, "Darkroom's stores", "basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign")
            _sign(server, "Darkroom's stores", STORE_NAMES, "basicConstraints=critical,CA:FALSE", authority=authority)
            for name in names:
                _write(folder / name, (Path(made) / name).read_text(encoding="ascii"), mode=0o400)
    return {name: (folder / name).read_text(encoding="ascii") for name in names}


def render_certificate_files(pem: Mapping[str, str]) -> dict[str, str]:
    """Return the content of the files of Redis and MongoDB, by `reader/name`."""
    return {
        "redis/server.key": pem["server.key"],
        "redis/server.pem": pem["server.pem"],
        "redis/ca.pem": pem["ca.pem"],
        "mongo/server.pem": pem["server.key"] + pem["server.pem"],  # mongod reads one file
        "mongo/ca.pem": pem["ca.pem"],
    }


def export_secrets(root: Path) -> bytes:
    """Return a tar of what a worker on another machine reads. Raises `FileNotFoundError` without a certificate."""
    passwords = load_passwords(root / "master")
    authority = (root / "master" / "ca.pem").read_text(encoding="ascii")
    files = {
        "ca.pem": authority,
        "darkroom_redis_url": f"rediss://{USER}:{passwords['redis']}@redis:6380/0?ssl_ca_certs=/run/secrets/ca.pem",
        "darkroom_mongo_url": f"mongodb://{USER}:{passwords['mongo_darkroom']}@mongo:27017/darkroom"
        "?tls=true&tlsCAFile=/run/secrets/ca.pem",
    }
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.uid, member.gid, member.mode, member.size = USER_ID, USER_ID, 0o400, len(content)
            tar.addfile(member, io.BytesIO(content.encode("ascii")))
    return archive.getvalue()


def _sign(target: Path, subject: str, *extensions: str, authority: Path | None = None) -> None:
    """Create `target.key`, and `target.pem` that the authority or else the key itself signs."""
    signer = ["-CA", f"{authority}.pem", "-CAkey", f"{authority}.key"] if authority else []
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", *signer]
    command += ["-days", CERTIFICATE_DAYS, "-subj", f"/CN={subject}"]
    command += ["-keyout", f"{target}.key", "-out", f"{target}.pem"]
    command += [part for extension in extensions for part in ("-addext", extension)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603  # all of it is ours


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
    parser.add_argument("action", choices=["write", "show", "export"])
    parser.add_argument("--certificate", action="store_true", help="write: also that of Redis and MongoDB")
    chosen = parser.parse_args(arguments)
    write_secrets(ROOT, certificate=chosen.certificate)
    if chosen.action == "show":
        passwords = load_passwords(ROOT / "master")
        print(*(f"{name}  user {USER}  password {passwords[name]}" for name in ("flower", "grafana")), sep="\n")
    elif chosen.action == "export":
        try:
            sys.stdout.buffer.write(export_secrets(ROOT))
        except FileNotFoundError:
            print("secrets: there is no certificate yet; start with open-stores.yml first", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
