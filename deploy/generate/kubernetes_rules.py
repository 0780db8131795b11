"""Write the rules as a PrometheusRule, and into the chart: `.venv/bin/python -m deploy.generate.kubernetes_rules`."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

from deploy.generate.helm_chart import chart as helm_chart

DEPLOY = Path(__file__).resolve().parents[1]
SOURCE = DEPLOY / "prometheus" / "rules.yml"
TARGET = DEPLOY / "kubernetes" / "monitoring" / "rules.yaml"
HEAD = """\
# Generated from deploy/prometheus/rules.yml by `python -m deploy.generate.kubernetes_rules`: change them there.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: darkroom
spec:
"""


def render_manifest() -> str:
    """Return the PrometheusRule: the rules unchanged, indented by two columns."""
    text = SOURCE.read_text(encoding="utf-8")
    return HEAD + indent(text[text.index("groups:") :], "  ")


if __name__ == "__main__":
    TARGET.write_text(render_manifest(), encoding="utf-8")
    helm_chart.write()
