"""The stores that a backup is made of or restored into: those of the environment, or of `./run up`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from deploy.backup.errors import BackupError
from deploy.local.home import find_home, has_running_stack, read_stores
from pipeline.settings import Settings


def add_running_stores(settings: Settings) -> Settings:
    """Return the settings, with the stores of the running `./run up` for those that are not set."""
    home = find_home()
    if has_running_stack(home):
        return _fill_unset(settings, read_stores(home))
    if "mongo_url" not in settings.model_fields_set:
        raise BackupError(f"No `./run up` runs on {home}, and DARKROOM_MONGO_URL names no server.")
    return settings


@contextmanager
def run_stopped_stores(settings: Settings) -> Iterator[Settings]:
    """Yield the settings. If they set no MongoDB, start the servers of the data folder and use its stores."""
    if "mongo_url" in settings.model_fields_set:
        yield settings
        return
    if has_running_stack(find_home()):
        raise BackupError(f"A `./run up` runs on {find_home()}: stop it first.")
    from deploy.local.stack import Stack  # noqa: PLC0415
    from deploy.local.supervisord_control import StackError  # noqa: PLC0415  # their dependencies are not in the images

    try:
        with Stack(find_home(), gateway=False, workers=False) as stack:
            yield _fill_unset(settings, {"mongo_url": stack.mongo_url, "blob_url": stack.blob_folder.as_uri()})
    except StackError as error:
        raise BackupError(str(error)) from error


def _fill_unset(settings: Settings, stores: dict[str, str]) -> Settings:
    unset = {name: url for name, url in stores.items() if name not in settings.model_fields_set}
    return settings.model_copy(update=unset)
