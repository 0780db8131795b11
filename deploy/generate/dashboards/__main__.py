"""Regenerate deploy/grafana/dashboards/*.json: python -m deploy.generate.dashboards."""

from __future__ import annotations

import argparse
from pathlib import Path

from deploy.generate.dashboards.catalogue import render_dashboards

FOLDER = Path(__file__).resolve().parents[2] / "grafana" / "dashboards"


def main() -> None:
    """Write every dashboard to its file."""
    argparse.ArgumentParser(prog="./run dashboards", description=__doc__).parse_args()
    for name, text in render_dashboards().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(FOLDER / name)


if __name__ == "__main__":
    main()
