"""Writes Prometheus' rules as the operator takes them: `.venv/bin/python -m deploy.kubernetes.rules`."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent / "prometheus" / "rules.yml"
WRITTEN = HERE / "monitoring" / "rules.yaml"
HEAD = """\
# Written from deploy/prometheus/rules.yml by deploy/kubernetes/rules.py, which kustomize cannot do: change them there.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: darkroom
spec:
"""


def render_manifest() -> str:
    """Return the PrometheusRule: the rules as they are, two columns further in."""
    text = SOURCE.read_text(encoding="utf-8")
    return HEAD + indent(text[text.index("groups:") :], "  ")


if __name__ == "__main__":
    WRITTEN.write_text(render_manifest(), encoding="utf-8")
