"""The compose.yml of a published version: docker-compose.yml with its images, and nothing else changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deploy.compose import configuration, release
from pipeline.version import VERSION
from tests.support.fast_yaml import load
from tests.support.prometheus_config import ROOT

NAMESPACE = "registry.example/photos"
IMAGES = f"${{DARKROOM_IMAGES:-{NAMESPACE}}}"


def published(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert release.main(list(arguments)) == 0
    return capsys.readouterr().out


def services(text: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = load(text)["services"]
    return found


def test_the_published_file_builds_nothing_and_names_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    compose = published(capsys, NAMESPACE)

    ours = {service["image"] for service in services(compose).values() if "darkroom" in service["image"]}
    secrets = f"{IMAGES}/darkroom-secrets:{release.compute_secrets_tag(ROOT)}"
    assert "build" not in {key for service in services(compose).values() for key in service}
    assert ours == {f"{IMAGES}/{name}:${{DARKROOM_TAG:-{VERSION}}}" for name in ("darkroom", "darkroom-frontend")} | {
        secrets
    }


def test_everything_else_is_as_in_the_tree(capsys: pytest.CaptureFixture[str]) -> None:
    tree = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    here, there = load(tree), load(published(capsys, NAMESPACE, "--version", "9.9.9"))

    for service in (*here["services"].values(), *there["services"].values()):
        service.pop("build", None)
        if "darkroom" in service["image"]:
            service["image"] = service["image"].rpartition("/")[2].partition(":")[0]
    fragments = {name: None for name in here if name.startswith("x-")}  # the services have what is in them
    assert {**there, **fragments} == {**here, **fragments}


def test_the_image_of_the_passwords_is_another_only_when_its_files_are(tmp_path: Path) -> None:
    scripts = tmp_path / "deploy" / "compose" / "mongo"
    scripts.mkdir(parents=True)
    (scripts / "users.js").write_text("first")
    (scripts.parent / "credentials.py").write_text("same")
    before = release.compute_secrets_tag(tmp_path)

    (scripts.parent / "archive.py").write_text("not in that image")
    same = release.compute_secrets_tag(tmp_path)
    (scripts / "users.js").write_text("second")

    assert same == before != release.compute_secrets_tag(tmp_path)


def test_the_other_files_come_with_the_image(capsys: pytest.CaptureFixture[str]) -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()

    for name, file in release.FILES.items():
        assert {f"!{file.relative_to(ROOT)}", f"!{file.relative_to(ROOT).parent}"} & set(ignored)
        if name in release.WITH_IMAGES:
            found = published(capsys, NAMESPACE, "--file", name)
            assert f"image: {IMAGES}/darkroom:${{DARKROOM_TAG:-{VERSION}}}\n" in found
            assert "build:" not in found
        else:
            assert published(capsys, "--file", name) == file.read_text(encoding="utf-8")


def test_configuration_of_an_older_version_is_replaced_and_removed(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for reader in configuration.READERS:
        (source / reader / "inner").mkdir(parents=True)
        (source / reader / "inner" / "new.yml").write_text("new")
        (target / reader / "inner").mkdir(parents=True)
        (target / reader / "inner" / "new.yml").write_text("old")
        (target / reader / "gone.yml").write_text("old")

    configuration.write_configuration(source, target)

    found = {str(file.relative_to(target)): file.read_text() for file in target.rglob("*") if file.is_file()}
    assert found == {f"{reader}/inner/new.yml": "new" for reader in configuration.READERS}


@pytest.mark.parametrize("name", sorted(release.WITH_IMAGES))
def test_a_file_with_images_needs_their_namespace(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        release.main(["--file", name])

    assert f"{name} needs the namespace of its images" in capsys.readouterr().err


@pytest.mark.parametrize(
    "namespace", ["example", "docker.io/example", "localhost:5000", "10.0.0.5:5000/a/b_c", "registry.example/photos/"]
)
def test_a_namespace_may_have_a_registry_a_port_and_a_path(namespace: str, capsys: pytest.CaptureFixture[str]) -> None:
    images = f"${{DARKROOM_IMAGES:-{namespace.rstrip('/')}}}"

    assert f"image: {images}/darkroom-frontend:" in published(capsys, namespace)


@pytest.mark.parametrize("namespace", ["https://registry.example/x", "Example", "a b", "a//b", "", "x}y"])
def test_a_namespace_that_no_image_can_be_in_is_refused(namespace: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        release.main([namespace])


def test_the_workflow_learns_the_tags(capsys: pytest.CaptureFixture[str]) -> None:
    assert published(capsys, "--show", "version") == f"{VERSION}\n"
    assert published(capsys, "--show", "secrets-tag") == f"{release.compute_secrets_tag(ROOT)}\n"
