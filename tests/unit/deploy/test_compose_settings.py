"""A change of .env recreates the containers that it is for, and no others: each container with a .env has all of it."""

from __future__ import annotations

import re

import pytest

from pipeline.backup_settings import BackupSettings
from tests.support.prometheus_config import ROOT
from tests.unit.deploy.test_compose import SERVICES, TEXT, volumes

BACKUP = {f"DARKROOM_BACKUP__{name}".upper() for name in BackupSettings.model_fields}
SETTINGS = {"DARKROOM_BLOB_URL", "DARKROOM_CORS__ORIGINS"}
READ_BY_COMPOSE = {"COMPOSE_FILE", "COMPOSE_PROFILES", "COMPOSE_PROJECT_NAME", *re.findall(r"\$\{(DARKROOM_\w+)", TEXT)}
WITH_DOTENV = {name for name, service in SERVICES.items() if "env_file" in service and name != "alertmanager"}


@pytest.mark.parametrize("name", sorted(WITH_DOTENV - {"check"}))
def test_what_compose_reads_reaches_no_container_by_the_way(name: str) -> None:
    assert SERVICES[name]["environment"].keys() >= READ_BY_COMPOSE - SETTINGS


@pytest.mark.parametrize("name", sorted(WITH_DOTENV - {"check", "backup", "backups"}))
def test_settings_of_backups_reach_nothing_else(name: str) -> None:
    assert {SERVICES[name]["environment"].get(variable) for variable in BACKUP} == {""}


@pytest.mark.parametrize("name", ["backup", "backups"])
def test_settings_of_backups_reach_them(name: str) -> None:
    assert not BACKUP & SERVICES[name]["environment"].keys()


def test_flower_which_has_a_page_has_no_keys_of_a_bucket() -> None:
    documented = set(
        re.findall(r"^#(AWS_\w*KEY\w*)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    )

    assert documented
    assert {SERVICES["flower"]["environment"][variable] for variable in documented} == {""}


def hidden_from(name: str) -> set[str]:
    """Return the variables of .env that a service gets empty."""
    return {variable for variable, value in SERVICES[name]["environment"].items() if value == ""}


@pytest.mark.parametrize(
    ("variables", "readers"),
    [
        ({"DARKROOM_WEBHOOKS__FIXED", "DARKROOM_WEBHOOKS"}, {"gateway", "worker-notify"}),
        ({"DARKROOM_SOURCES", "DARKROOM_DESTINATIONS"}, {"gateway", "worker-fetch"}),
        ({"DARKROOM_OUTBOUND__PROXY", "DARKROOM_OUTBOUND"}, {"gateway", "worker-fetch", "worker-notify"}),
    ],
)
def test_a_secret_of_what_goes_out_reaches_those_who_use_it_alone(variables: set[str], readers: set[str]) -> None:
    reading = {name for name in WITH_DOTENV if variables - hidden_from(name)}

    assert reading == readers | {"check"}


def test_what_sends_webhooks_has_no_blobs_and_no_keys_of_a_bucket() -> None:
    assert hidden_from("worker-notify") >= {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
    assert set(volumes("worker-notify")) == {"secrets-app"}


def test_the_secrets_that_sign_tokens_reach_the_gateway_alone() -> None:
    hidden = {name for name in WITH_DOTENV if SERVICES[name]["environment"].get("DARKROOM_SIGNING_SECRETS") == ""}

    assert WITH_DOTENV - hidden == {"gateway", "check"}


def test_the_check_sees_all_that_it_judges() -> None:
    hidden = {variable for variable, value in SERVICES["check"]["environment"].items() if not value}

    assert hidden == {"DARKROOM_REDIS_URL", "DARKROOM_MONGO_URL", "DARKROOM_FLOWER_USER"}
