"""The helpers of the containers: passwords, health checks, reloading."""

from __future__ import annotations

import os
import socket
import stat
import sys
import threading
import time
from hashlib import sha256
from pathlib import Path

import pytest

from deploy.compose import credentials, health, reload
from tests.compose import project
from tests.support.programs import run_program

METRICS = b'# TYPE x gauge\ndarkroom_worker_pool_processes{queue="resize"} %d.0\nx 1\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folders that the image has."""
    for name in ("master", *credentials.READERS):
        (tmp_path / name).mkdir()
    return tmp_path


def contents(root: Path) -> dict[str, str]:
    return {str(file.relative_to(root)): file.read_text() for file in root.rglob("*") if file.is_file()}


def test_passwords_are_created_once(root: Path) -> None:
    credentials.write_secrets(root)
    before = contents(root)

    credentials.write_secrets(root)

    assert contents(root) == before
    assert len(set(credentials.load_passwords(root / "master").values())) == len(credentials.PASSWORDS)


def test_two_installations_have_no_password_in_common(tmp_path_factory: pytest.TempPathFactory) -> None:
    one, other = (set(credentials.load_passwords(tmp_path_factory.mktemp(name)).values()) for name in ("one", "other"))

    assert not one & other


def test_lost_files_of_a_reader_are_written_again(root: Path) -> None:
    credentials.write_secrets(root)
    before = contents(root)
    (root / "redis" / "users.acl").unlink()

    credentials.write_secrets(root)

    assert contents(root) == before


def test_a_reader_that_the_compose_file_does_not_know_is_left_out(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "mongo-exporter").rmdir()

    credentials.write_secrets(root)

    assert "mongo-exporter/password is not written" in capsys.readouterr().err
    assert (root / "redis" / "users.acl").exists()


def test_only_the_owner_can_read_the_passwords(root: Path) -> None:
    credentials.write_secrets(root)

    for file in (root / "master").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o400


def test_redis_gets_a_hash_and_disables_the_default_user() -> None:
    lines = credentials.render_reader_files(dict.fromkeys(credentials.PASSWORDS, "pass"))[
        "redis/users.acl"
    ].splitlines()

    assert lines[0] == "user default off resetpass ~* &* +@all"  # why: tests/integration/test_redis_restart.py
    assert f"#{sha256(b'pass').hexdigest()}" in lines[1]
    assert lines[-1] == "user probe on nopass resetkeys resetchannels -@all +ping"


@pytest.mark.parametrize(("children", "status"), [(2, 0), (0, 1)])
def test_a_worker_is_healthy_with_children_and_a_running_main_thread(
    children: int, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "LAST_CHECK_FILE", tmp_path / "look")
    monkeypatch.setattr(health, "PROCESSES", tmp_path)
    _worker(tmp_path, switches=10)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("DARKROOM_HEALTH", f"{server.getsockname()[1]}/metrics")
        threading.Thread(target=_answer, args=(server, METRICS % children), daemon=True).start()

        assert health.main() == status


def _worker(processes: Path, *, switches: int) -> None:
    """Write a fake /proc with a worker whose main thread has this number of context switches."""
    worker = processes / "7"
    worker.mkdir(exist_ok=True)
    (worker / "cmdline").write_bytes(b"python\0-m\0pipeline\0-Q\0resize\0")
    (worker / "status").write_text(
        f"Name:\tpython\nvoluntary_ctxt_switches:\t{switches}\nnonvoluntary_ctxt_switches:\t1\n"
    )


def _answer(server: socket.socket, body: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + body)


def test_a_container_without_an_answer_is_unhealthy(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as bound:  # no program listens
        bound.bind(("127.0.0.1", 0))
        monkeypatch.setenv("DARKROOM_HEALTH", f"{bound.getsockname()[1]}/readyz")

        assert health.main() == 1


def test_a_main_thread_that_has_not_run_since_the_last_check_hangs(tmp_path: Path) -> None:
    look = tmp_path / "look"

    answers = []
    for switches in (10, 11, 11):
        _worker(tmp_path, switches=switches)
        answers.append(health.has_run_since(look, tmp_path))

    assert answers == [True, True, False]


def test_reload_restarts_its_command_when_a_file_changes_and_stops_it_at_the_end(tmp_path: Path) -> None:
    started = tmp_path / "started"
    code = tmp_path / "code"
    code.mkdir()
    (code / "a.py").write_text("")
    child = f"import time; open({str(started)!r}, 'a').write('x'); time.sleep(600)"
    command = [sys.executable, "-m", "deploy.compose.reload", str(code), "--", sys.executable, "-c", child]
    with run_program(*command) as process:
        try:
            _until(lambda: started.exists() and started.read_text() == "x")
            os.utime(code / "a.py", ns=(1, 1))
            _until(lambda: started.read_text() == "xx")
        finally:
            process.terminate()

        assert process.wait(30) == 0


def _until(look: object) -> None:
    deadline = time.monotonic() + 60
    while not look():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_command_without_folders_is_refused() -> None:
    assert reload.main(["--", "true"]) == 2


def test_without_a_docker_engine_the_test_is_skipped_with_a_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert "docker info" in project.explain_missing_engine()
