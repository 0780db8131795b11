"""Check files of presets: a line for each mistake, and status 1 if there are some. No server is asked.

The limits are those of DARKROOM_PRESET_LIMITS__* and DARKROOM_LIMITS__* in the environment. Names of destinations are
checked if DARKROOM_DESTINATIONS is there.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pipeline.presets.loading import read_files
from pipeline.presets.mistakes import PresetMistakes
from pipeline.settings import Settings
from pipeline.settings_mistakes import stop_on_mistakes


def main(arguments: list[str]) -> int:
    """Check each file, or each folder of `*.toml` files, and return the exit status."""
    chosen = _parse_arguments(arguments)
    stop_on_mistakes()
    settings = Settings()
    return max([_check(chosen.directory / path, settings) for path in chosen.file])


def _check(path: Path, settings: Settings) -> int:
    """Check one file or folder, and print what is wrong, or the versions of its presets."""
    try:
        loaded = read_files(
            str(path),
            limits=settings.preset_limits,
            image_limits=settings.limits,
            destinations=settings.destinations or None,
        )
    except PresetMistakes as error:
        print(*error.mistakes, sep="\n")
        return 1
    for name, preset in sorted(loaded.presets.items()):
        renditions = ", ".join(preset.definition.renditions)
        print(f"{name} {preset.version}: {renditions}")
    if not loaded.presets:
        print(f"{path} has no presets.")
    return 0


def _parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./run check", description=__doc__)
    parser.add_argument("file", nargs="+", type=Path, help="a .toml file, or a folder with some")
    parser.add_argument("--directory", type=Path, default=Path(), help=argparse.SUPPRESS)  # where relative paths start
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
