"""Print the files that run one published version without this tree, from what the image holds.

    docker run --rm NAMESPACE/darkroom:VERSION darkroom-server compose NAMESPACE > compose.yml

`compose.yml` is docker-compose.yml with published images in place of `build`. Two variables of `.env` choose others:
DARKROOM_IMAGES, the registry and namespace, and DARKROOM_TAG, the version.
"""

from __future__ import annotations

import argparse
import re
import sys
from hashlib import sha256
from pathlib import Path

from pipeline.version import VERSION

ROOT = Path(__file__).resolve().parents[2]
SECRETS = "darkroom-secrets"
FILES = {
    "compose.yml": ROOT / "docker-compose.yml",
    "workers.yml": ROOT / "deploy" / "compose" / "workers.yml",
    "open-stores.yml": ROOT / "deploy" / "compose" / "open-stores.yml",
    "outside.yml": ROOT / "deploy" / "compose" / "outside.yml",
    "small.yml": ROOT / "deploy" / "compose" / "small.yml",
    ".env.example": ROOT / ".env.example",
    "alerts.env.example": ROOT / "deploy" / "alertmanager" / "alerts.env.example",
}
HEADER = """\
# Darkroom {version} in containers: docker compose up -d, then open http://127.0.0.1:8000, or :8001/docs for the API.
# It needs no configuration and no other file. The first start creates the passwords; show them with:
# docker compose run --rm secrets show. Every ${{VARIABLE:-default}} can be set in .env. Made from docker-compose.yml.
"""
NAMESPACE = re.compile(r"([A-Za-z0-9.-]+(:\d+)?/)?[a-z0-9._-]+(/[a-z0-9._-]+)*|[A-Za-z0-9.-]+:\d+")
WITH_IMAGES = {"compose.yml", "workers.yml"}
COMMENT = re.compile(r"\A(#.*\n)+")
BUILD = re.compile(r"^    build:\n(      .*\n)+", re.MULTILINE)
IMAGE = re.compile(r"^( +)image: (darkroom[a-z-]*):latest.*$", re.MULTILINE)


def render_compose(source: str, *, namespace: str, version: str, secrets_tag: str) -> str:
    """Return a compose file without `build`, with images of `namespace` (a registry's may stand before it).

    The image of the passwords has a tag of its own, which changes with its content only: the stores wait for this
    container, so that another tag would make the engine create them anew.
    """

    def published(found: re.Match[str]) -> str:
        tag = secrets_tag if found[2] == SECRETS else f"${{DARKROOM_TAG:-{version}}}"
        return f"{found[1]}image: ${{DARKROOM_IMAGES:-{namespace}}}/{found[2]}:{tag}"

    return IMAGE.sub(published, BUILD.sub("", source))


def compute_secrets_tag(root: Path) -> str:
    """Return the tag of the image of the passwords: a hash of the files that it consists of."""
    folder = root / "deploy" / "compose"
    files = [folder / "credentials.py", *sorted((folder / "mongo").iterdir())]
    return sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:12]


def parse_namespace(text: str) -> str:
    """Return a registry and namespace without a slash at the end. Raises for what no image can be in."""
    namespace = text.rstrip("/")
    if not NAMESPACE.fullmatch(namespace):
        raise argparse.ArgumentTypeError(f"{text!r} is no namespace; write it as docker.io/example, in small letters")
    return namespace


def main(arguments: list[str]) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="darkroom-server compose", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parser.add_argument(
        "namespace", type=parse_namespace, nargs="?", help="where the images are, such as docker.io/example"
    )
    parser.add_argument("--version", default=VERSION, help="the tag of the images (default: %(default)s)")
    parser.add_argument("--file", choices=FILES, default="compose.yml", help="which file (default: %(default)s)")
    parser.add_argument("--show", choices=["version", "secrets-tag"], help="print only one of the tags that it names")
    chosen = parser.parse_args(arguments)
    tag = compute_secrets_tag(ROOT)
    if chosen.show:
        print(tag if chosen.show == "secrets-tag" else VERSION)
    elif chosen.namespace is None and chosen.file in WITH_IMAGES:
        parser.error(f"{chosen.file} needs the namespace of its images")
    else:
        text = FILES[chosen.file].read_text(encoding="utf-8")
        if chosen.file == "compose.yml":
            text = COMMENT.sub(HEADER.format(version=chosen.version), text, count=1)
        if chosen.file in WITH_IMAGES:
            text = render_compose(text, namespace=chosen.namespace, version=chosen.version, secrets_tag=tag)
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
