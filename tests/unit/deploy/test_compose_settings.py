"""A change of .env recreates the containers that it is for, and no others: each container with a .env has all of it."""

from __future__ import annotations

import re

import pytest

from pipeline.backup_settings import BackupSettings
from tests.support.prometheus_config import ROOT
from tests.unit.deploy.test_compose import SERVICES, TEXT

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


def test_the_secrets_that_sign_tokens_reach_the_gateway_alone() -> None:
    hidden = {name for name in WITH_DOTENV if SERVICES[name]["environment"].get("DARKROOM_SIGNING_SECRETS") == ""}

    assert WITH_DOTENV - hidden == {"gateway", "check"}


def test_the_check_sees_all_that_it_judges() -> None:
    hidden = {variable for variable, value in SERVICES["check"]["environment"].items() if not value}

    assert hidden == {"DARKROOM_REDIS_URL", "DARKROOM_MONGO_URL", "DARKROOM_FLOWER_USER"}
