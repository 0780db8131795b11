"""Whether the files of presets are right: a gateway does not start with others."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.admin.findings import Finding, error, ok
from pipeline.presets.loading import read_files
from pipeline.presets.mistakes import PresetMistakes
from pipeline.settings import Settings

SUBJECT = "presets"


def check_presets(settings: Settings) -> Iterator[Finding]:
    """Yield every mistake in the files; nothing where none are set."""
    if not settings.presets:
        return
    try:
        loaded = read_files(
            settings.presets,
            limits=settings.preset_limits,
            image_limits=settings.limits,
            destinations=settings.destinations,
        )
    except PresetMistakes as mistakes:
        yield from (error(SUBJECT, str(mistake)) for mistake in mistakes.mistakes)
    else:
        yield ok(SUBJECT, f"no mistakes: {', '.join(sorted(loaded.presets)) or 'only default'}")
