"""Workers on another machine: the same containers as beside the stores, and a certificate that they verify."""

from __future__ import annotations

import io
import socket
import ssl
import tarfile
import threading
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from deploy.compose import credentials
from pipeline.routing import QUEUES
from tests.support.fast_yaml import load
from tests.support.prometheus_config import ROOT

HERE: dict[str, dict[str, Any]] = load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
OPEN: dict[str, dict[str, Any]] = load((ROOT / "deploy/compose/open-stores.yml").read_text(encoding="utf-8"))[
    "services"
]
THERE: dict[str, dict[str, Any]] = load((ROOT / "deploy/compose/workers.yml").read_text(encoding="utf-8"))["services"]
ELSEWHERE = {"volumes", "networks", "depends_on", "scale", "environment", "extra_hosts", "ports"}
LOCAL_VARIABLES = {"DARKROOM_BLOB_URL", "DARKROOM_GIVEN_BLOB_URL"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The secrets of a server that opens its stores."""
    folder = tmp_path_factory.mktemp("secrets")
    for name in ("master", *credentials.READERS):
        (folder / name).mkdir()
    credentials.write_secrets(folder, certificate=True)
    return folder


def own_variables(service: Any) -> dict[str, str]:
    """Return what a worker is told about its work: no addresses, and nothing that is empty."""
    return {name: value for name, value in service["environment"].items() if value and name not in LOCAL_VARIABLES}


@pytest.mark.parametrize("queue", QUEUES)
def test_a_worker_elsewhere_is_as_one_beside_the_stores(queue: str) -> None:
    here, there = HERE[f"worker-{queue}"], THERE[f"worker-{queue}"]

    assert {key: there[key] for key in there.keys() - ELSEWHERE} == {key: here[key] for key in here.keys() - ELSEWHERE}
    assert own_variables(there) == own_variables(here)


def test_opened_stores_run_as_closed_ones_with_tls_beside() -> None:
    redis, mongo = HERE["redis"]["command"].split(), HERE["mongo"]["command"]

    assert OPEN["redis"]["command"].split()[: len(redis)] == redis
    assert OPEN["mongo"]["command"][: len(mongo)] == mongo


@pytest.mark.parametrize("name", ["redis", "mongo"])
def test_opened_stores_are_published_on_an_address_that_the_operator_names(name: str) -> None:
    assert [port.partition(":?")[0] for port in OPEN[name]["ports"]] == ["${DARKROOM_STORES_BIND"]


def exchange(root: Path, name: str, server_name: str) -> str:
    """Connect over TLS with what a store has, and with what was exported; return what the store said."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    key = root / name / "server.key"
    server.load_cert_chain(root / name / "server.pem", key if key.exists() else None)
    with tarfile.open(fileobj=io.BytesIO(credentials.export_secrets(root))) as tar:
        authority = tar.extractfile("ca.pem")
        assert authority
        client = ssl.create_default_context(cadata=authority.read().decode())
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    ours, theirs = socket.socketpair()

    def answer() -> None:
        try:
            with server.wrap_socket(theirs, server_side=True) as connection:
                connection.sendall(b"hello")
        except ssl.SSLError:
            theirs.close()

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        with client.wrap_socket(ours, server_hostname=server_name) as connection:
            return connection.recv(10).decode()
    finally:
        ours.close()
        thread.join()


@pytest.mark.parametrize("name", ["redis", "mongo"])
def test_a_store_proves_who_it_is_to_those_who_have_the_export(root: Path, name: str) -> None:
    assert exchange(root, name, name) == "hello"


def test_a_certificate_is_not_for_other_names(root: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        exchange(root, "redis", "example.org")


def test_a_certificate_is_created_once(root: Path) -> None:
    before = credentials.load_certificate(root / "master")

    credentials.write_secrets(root, certificate=True)

    assert credentials.load_certificate(root / "master") == before


def test_the_export_names_the_stores_over_tls_and_only_the_image_s_user_reads_it(root: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(credentials.export_secrets(root))) as tar:
        members = {member.name: (member.mode, member.uid) for member in tar}
        urls = {name: urlsplit(tar.extractfile(name).read().decode()) for name in members if name.endswith("_url")}  # type: ignore[union-attr]

    assert members == dict.fromkeys(("ca.pem", "darkroom_redis_url", "darkroom_mongo_url"), (0o400, 10001))
    assert (urls["darkroom_redis_url"].scheme, urls["darkroom_redis_url"].port) == ("rediss", 6380)
    assert parse_qs(urls["darkroom_mongo_url"].query) == {"tls": ["true"], "tlsCAFile": ["/run/secrets/ca.pem"]}
    assert all(
        url.hostname in THERE["worker-resize"]["extra_hosts"][number] for number, url in enumerate(urls.values())
    )


def test_without_a_certificate_nothing_is_exported(tmp_path: Path) -> None:
    (tmp_path / "master").mkdir()

    with pytest.raises(FileNotFoundError):
        credentials.export_secrets(tmp_path)
