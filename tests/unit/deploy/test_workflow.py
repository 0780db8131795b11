"""What GitHub runs: pinned to the commit, with no more rights than it needs, and on files that there are."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.prometheus_config import ROOT, load_yaml

GITHUB = ROOT / ".github"
FILE = GITHUB / "workflows" / "ci.yml"
TEXT = FILE.read_text(encoding="utf-8")
WORKFLOW: dict[Any, Any] = load_yaml(FILE)
TRIGGERS = WORKFLOW[True]  # YAML takes `on` for a yes
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
STEPS = [(name, step) for name, job in JOBS.items() for step in job["steps"]]
DEPENDABOT = load_yaml(GITHUB / "dependabot.yml")["updates"]
COMPOSE = load_yaml(ROOT / "docker-compose.yml")["services"]
IMAGES = {service["image"] for service in COMPOSE.values() if service["image"].startswith("darkroom")}
DOCKERFILES = sorted((ROOT / "deploy").rglob("*Dockerfile"))
FROM = re.compile(r"FROM [a-z]+[^ ]*:")
PINNED = re.compile(r"uses: [\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


def linter(name: str) -> str:
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    return found or pytest.skip(f"{name} is neither beside this Python nor on PATH")


def steps_of(job: str, action: str) -> list[dict[str, Any]]:
    return [step for step in JOBS[job]["steps"] if step.get("uses", "").startswith(f"{action}@")]


def told(job: str) -> str:
    return "\n".join(step["run"] for step in JOBS[job]["steps"] if "run" in step)


def test_zizmor_finds_nothing_to_say() -> None:
    done = subprocess.run(
        [linter("zizmor"), "--offline", "--no-progress", "--persona", "pedantic", str(GITHUB)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_finds_nothing_to_say() -> None:
    done = subprocess.run([linter("actionlint"), str(FILE)], capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_action_is_pinned_to_a_commit_and_says_its_version() -> None:
    used = [line.strip().removeprefix("- ") for line in TEXT.splitlines() if re.match(r"\s*(- )?uses:", line)]

    assert len(used) == len([step for _, step in STEPS if "uses" in step])
    assert [line for line in used if not PINNED.fullmatch(line)] == []


def test_an_action_has_one_version_everywhere() -> None:
    used = {step["uses"] for _, step in STEPS if "uses" in step}

    assert len(used) == len({each.partition("@")[0] for each in used})


@pytest.mark.parametrize("name", JOBS)
def test_a_job_may_only_read_and_not_for_ever(name: str) -> None:
    assert WORKFLOW["permissions"] == {}
    assert JOBS[name]["permissions"] == {"contents": "read"}
    assert 0 < JOBS[name]["timeout-minutes"] <= 90


@pytest.mark.parametrize("name", JOBS)
def test_no_checkout_leaves_its_token_behind(name: str) -> None:
    checkouts = steps_of(name, "actions/checkout")

    assert [step["with"]["persist-credentials"] for step in checkouts] == [False]


def test_no_shell_is_given_what_strangers_wrote() -> None:
    assert [step["run"] for _, step in STEPS if "run" in step and "${{" in step["run"]] == []


def test_everything_is_tried_on_every_push_and_every_week() -> None:
    assert {"push", "pull_request", "schedule"} <= set(TRIGGERS)
    assert TRIGGERS["push"] is None
    assert not [name for name in ("bases", "check", "test", "compose", "audit", "scan") if "if" in JOBS[name]]


def test_the_tests_run_inside_the_container_of_the_image() -> None:
    built = [step["with"] for step in steps_of("test", "docker/build-push-action")]

    assert [(each["file"], each["tags"], each["load"]) for each in built] == [
        ("deploy/docker/Dockerfile", "darkroom", True)
    ]
    assert "docker build --tag darkroom-test --file deploy/docker/test.Dockerfile ." in told("test")
    assert "docker run --rm --name gateway --network none darkroom-test tests/mocked" in told("test")


def test_the_tests_meet_the_servers_that_docker_compose_runs() -> None:
    services = {name: service["image"] for name, service in JOBS["test"]["services"].items()}

    assert services == {name: COMPOSE[name]["image"] for name in ("redis", "mongo")}
    assert "DARKROOM_REDIS_URL=redis://redis:6379/0" in told("test")
    assert "DARKROOM_MONGO_URL=mongodb://mongo:27017/darkroom" in told("test")


def test_every_path_that_is_named_is_there() -> None:
    named = set(re.findall(r"(?<![\w./-])(?:deploy|tests|\.github|\.ci)/[\w./-]+", TEXT))

    assert {path for path in named if not (ROOT / path).exists()} == set()


def test_images_are_pushed_only_from_main_and_tags_after_every_other_job() -> None:
    job = JOBS["build_push"]

    assert set(job["needs"]) == JOBS.keys() - {"build_push"}
    assert set(re.findall(r"event_name == '([^']+)'", job["if"])) == {"push", "schedule"}
    assert set(re.findall(r"'(refs/[^']+)'", job["if"])) == {"refs/heads/main", "refs/tags/v"}
    assert [name for name in JOBS if "secrets." in str(JOBS[name])] == ["build_push"]


def test_images_are_for_two_architectures_and_say_where_they_come_from() -> None:
    pushed = steps_of("build_push", "docker/build-push-action")[0]["with"]
    files = {each["file"] for each in JOBS["build_push"]["strategy"]["matrix"]["include"]}

    assert pushed["platforms"] == "linux/amd64,linux/arm64"
    assert (pushed["push"], pushed["provenance"], pushed["sbom"]) == (True, "mode=max", True)
    assert files == {"deploy/docker/Dockerfile", "deploy/nginx/Dockerfile"}


def test_an_image_is_found_by_its_version_and_by_its_commit() -> None:
    tags = steps_of("build_push", "docker/metadata-action")[0]["with"]["tags"]

    assert "type=semver,pattern={{version}}" in tags
    assert "type=sha,format=long" in tags


def test_the_image_of_the_passwords_is_pushed_once_under_the_tag_that_a_compose_file_names() -> None:
    tags = steps_of("build_push", "docker/metadata-action")[0]["with"]["tags"].splitlines()
    secrets = [tag for tag in tags if not tag.endswith("matrix.target != 'secrets' }}")]

    assert secrets == ["type=raw,value=${{ steps.secrets.outputs.tag }},enable=${{ matrix.target == 'secrets' }}"]
    assert "tag=$(python3 -m deploy.compose.release --show secrets-tag)" in told("build_push")
    assert steps_of("build_push", "docker/build-push-action")[0]["if"] == "steps.secrets.outputs.pushed != 'true'"


def test_the_whole_stack_runs_on_the_runner_with_the_real_images_of_its_servers() -> None:
    assert "container" not in JOBS["compose"]
    assert "./run compose-test" in told("compose")
    hosts = {str(file.relative_to(ROOT)) for file in (ROOT / "tests" / "integration").glob("test_hosts*.py")}
    assert hosts <= set(told("compose").split())


def test_what_is_tested_scanned_and_pushed_is_built_on_the_same_bases() -> None:
    builds = [step["with"] for _, step in STEPS if step.get("uses", "").startswith("docker/build-push-action@")]

    assert len(builds) == 3
    assert {build["build-contexts"] for build in builds} == {"${{ needs.bases.outputs.contexts }}"}
    assert [name for name in JOBS if "needs.bases" in str(JOBS[name]) and "bases" not in JOBS[name]["needs"]] == []
    assert all(str(file.relative_to(ROOT)) in told("bases") for file in DOCKERFILES if file.name == "Dockerfile")


def test_every_image_that_is_pushed_is_scanned_before() -> None:
    images = [JOBS[name]["strategy"]["matrix"]["include"] for name in ("scan", "build_push")]
    names = {each["image"] for each in images[1]}
    [scan] = steps_of("scan", "anchore/scan-action")

    assert images[0] == images[1]
    assert names == {image.partition(":")[0] for image in IMAGES}
    assert (scan["with"]["fail-build"], scan["with"]["severity-cutoff"]) == (True, "high")


def base_images(folder: Path, digest: str) -> subprocess.CompletedProcess[str]:
    """Look up the bases of both images with a docker that knows one digest."""
    docker = folder / "docker"
    docker.write_text(f"#!/bin/sh\necho {digest}\n")
    docker.chmod(0o755)
    files = ["deploy/docker/Dockerfile", "deploy/nginx/Dockerfile"]
    return subprocess.run(
        [GITHUB / "base-images", *files],
        cwd=ROOT,
        env={"PATH": f"{folder}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_bases_of_both_images_are_named_with_their_digests(tmp_path: Path) -> None:
    digest = f"sha256:{'ab' * 32}"

    found = base_images(tmp_path, digest).stdout.splitlines()

    names = {line.split()[1] for file in DOCKERFILES for line in file.read_text().splitlines() if FROM.match(line)}
    assert set(found) == {f"{name}=docker-image://{name}@{digest}" for name in names}
    assert len(names) == 2


@pytest.mark.parametrize("digest", ["", "latest", "sha256:abc"])
def test_a_base_without_a_digest_ends_the_run(tmp_path: Path, digest: str) -> None:
    ended = base_images(tmp_path, digest)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert "No digest of nginx" in ended.stderr


def test_advisories_are_looked_up_for_every_lock() -> None:
    locks = [
        file.relative_to(ROOT).as_posix() for folder in ("deploy", ".github") for file in ROOT.glob(f"{folder}/*.lock")
    ]

    assert locks
    assert [lock for lock in locks if f"--requirement {lock}" not in told("audit")] == []


def test_the_tools_are_locked_with_hashes_and_name_no_index() -> None:
    lock = (GITHUB / "tools.lock").read_text(encoding="utf-8")
    wanted = re.findall(r"^([\w-]+)>=", (GITHUB / "tools.in").read_text(encoding="utf-8"), re.MULTILINE)

    assert {name for name in wanted if f"\n{name}==" not in f"\n{lock}"} == set()
    assert "://" not in lock
    assert len(re.findall(r"^\S+==", lock, re.MULTILINE)) <= lock.count("--hash=sha256:")


@pytest.mark.parametrize("update", DEPENDABOT, ids=lambda update: update["package-ecosystem"])
def test_what_is_updated_is_there_and_waits_a_week(update: dict[str, Any]) -> None:
    folders = update.get("directories") or [update["directory"]]

    assert [folder for folder in folders if not (ROOT / folder.strip("/")).is_dir()] == []
    assert update["cooldown"]["default-days"] >= 7


def test_everything_that_is_pinned_is_updated() -> None:
    assert {update["package-ecosystem"] for update in DEPENDABOT} >= {"pip", "docker", "github-actions"}


def test_every_folder_with_images_of_others_is_updated() -> None:
    [docker] = [update for update in DEPENDABOT if update["package-ecosystem"] == "docker"]
    manifests = (ROOT / "deploy/kubernetes").rglob("*.yaml")
    others = [file for file in manifests if re.search(r"image: (?!darkroom)", file.read_text(encoding="utf-8"))]
    others = [file for file in others if "chart" not in file.parts]  # it is made of the others

    assert others
    assert set(docker["directories"]) == {f"/{file.parent.relative_to(ROOT)}" for file in [*DOCKERFILES, *others]}
