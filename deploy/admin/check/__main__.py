"""Check the settings and the stores, before anything is started or replaced.

    docker compose run --rm check
    kubectl -n darkroom exec deployment/gateway -- darkroom-server check
    .venv/bin/python -m deploy.admin.check        in a checkout, on the servers that DARKROOM_* or .env name

Exit status: 0, or 1 if something is an error.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dotenv import load_dotenv
from pydantic import ValidationError

from deploy.admin.check.backups_check import check_backups
from deploy.admin.check.blobs_check import check_blobs
from deploy.admin.check.mongo_check import check_mongo
from deploy.admin.check.presets_check import check_presets
from deploy.admin.check.rabbit_check import check_rabbit
from deploy.admin.check.redis_check import check_redis
from deploy.admin.check.settings_check import SUBJECT, check_settings
from deploy.admin.findings import Finding, error, has_errors, ok, render_json, render_text, warning
from deploy.local.home import ROOT
from pipeline.flower_settings import FlowerSettings
from pipeline.settings import Settings
from pipeline.settings_mistakes import without_mistakes

ABOUT = "Check the settings, and ask each store whether it will do, before anything is started or replaced."
CHECKS: dict[str, Callable[[Settings], Iterator[Finding]]] = {
    "DARKROOM_REDIS_URL": check_redis,
    "DARKROOM_BROKER_URL": check_rabbit,
    "DARKROOM_MONGO_URL": check_mongo,
    "DARKROOM_BLOB_URL": check_blobs,
    "DARKROOM_BACKUP__TARGET": check_backups,
    "DARKROOM_PRESETS": check_presets,
}
WITH_PASSWORDS = {"DARKROOM_REDIS_URL", "DARKROOM_MONGO_URL"}
"""Whose files in the secrets folder the first start creates."""


def main(arguments: list[str]) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="darkroom-server check", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    chosen = parser.parse_args(arguments)
    load_dotenv(ROOT / ".env")
    findings = list(check_all())
    print(render_json(findings) if chosen.json else render_text(findings))
    return int(has_errors(findings))


def check_all() -> Iterator[Finding]:
    """Yield all findings. Settings with mistakes are left out for the rest."""
    with without_mistakes(Settings, FlowerSettings) as mistakes:
        yield from (error(SUBJECT, mistake) for mistake in mistakes)
        try:
            settings = Settings()
        except ValidationError:  # in a file of the secrets folder, or of several settings together
            yield warning(SUBJECT, "the stores were not asked", "Correct the settings first.")
            return
        conflicts = list(check_settings(settings, os.environ))
        yield from conflicts
        if not mistakes and not conflicts:
            yield ok(SUBJECT, "no mistakes")
        checks = [variable for variable in CHECKS if not any(variable in mistake for mistake in mistakes)]
        with ThreadPoolExecutor(len(CHECKS)) as pool:
            for found in pool.map(lambda variable: list(_ask(variable, settings)), checks):
                yield from found


def _ask(variable: str, settings: Settings) -> Iterator[Finding]:
    if _is_before_first_start(variable):
        yield warning(
            variable.split("_")[1].lower(),
            "it was never started: its password does not exist yet",
            "Check again after the first start.",
        )
    else:
        yield from CHECKS[variable](settings)


def _is_before_first_start(variable: str) -> bool:
    """Whether the secrets folder will have a store's URL, with a password that the first start creates."""
    folder = os.environ.get("DARKROOM_SECRETS_DIR")
    is_expected = bool(folder) and variable in WITH_PASSWORDS & os.environ.keys() and not os.environ[variable]
    return is_expected and not (Path(folder or "") / variable.lower()).exists()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
