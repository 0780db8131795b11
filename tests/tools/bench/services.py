"""Darkroom with another broker or another store of blobs: RabbitMQ, and SeaweedFS with S3's interface."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.support.object_store import run_object_store
from tests.support.rabbitmq_server import run_rabbitmq
from tests.tools.bench.bench import Bench, Options
from tests.tools.bench.systems import Darkroom, DarkroomSystem, run_darkroom
from tests.tools.bench.tree_stack import run_tree

BUCKET = "darkroom"
_Server = TypeVar("_Server")


@dataclass(frozen=True, slots=True)
class Services:
    """What a stack needs in order to use servers of its own, and the ids of their processes by name."""

    environment: dict[str, str]
    pids: dict[str, int]


@contextmanager
def run_services(options: Options, folder: Path) -> Iterator[Services]:
    """Run the servers that are asked for, for one stack. RuntimeError says why one of them is not there."""
    services = Services({}, {})
    with ExitStack() as resources:
        if options.broker == "rabbitmq":
            rabbitmq = enter_or_explain(resources, run_rabbitmq(_new_folder(folder / "rabbitmq")))
            services.environment["DARKROOM_BROKER_URL"] = rabbitmq.url
            services.pids["rabbitmq"] = rabbitmq.pid
        if options.blobs == "s3":
            store = enter_or_explain(resources, run_object_store(_new_folder(folder / "seaweedfs")))
            store.create_bucket(BUCKET)
            services.environment.update(store.environment | {"DARKROOM_BLOB_URL": f"s3://{BUCKET}"})
            services.pids["seaweedfs"] = store.pid
        yield services


@contextmanager
def start_darkroom(bench: Bench, name: str, **options: Any) -> Iterator[Darkroom]:
    """Run our stack with the servers that are asked for."""
    with run_services(bench.options, bench.folder("services")) as services:
        own: dict[str, Any] = {"environment": services.environment, "services": services.pids}
        with run_darkroom(bench.folder(name), **own, **options) as running:
            yield running


@contextmanager
def start_tree(bench: Bench, tree: Path, **options: Any) -> Iterator[DarkroomSystem]:
    """Run the stack of another checkout with servers of the same kinds."""
    with run_services(bench.options, bench.folder("services")) as services:
        own: dict[str, Any] = {"environment": services.environment, "services": services.pids}
        with run_tree(tree, bench.folder("before"), **own, **options) as running:
            yield running


def enter_or_explain(resources: ExitStack, server: AbstractContextManager[_Server]) -> _Server:
    """Start a server; RuntimeError says why it is not there, which in a test would skip that."""
    try:
        return resources.enter_context(server)
    except (pytest.skip.Exception, pytest.fail.Exception) as error:
        raise RuntimeError(str(error)) from error


def _new_folder(folder: Path) -> Path:
    folder.mkdir()
    return folder
