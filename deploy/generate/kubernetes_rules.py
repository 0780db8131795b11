"""Write the rules as a PrometheusRule and into the chart: `python -m deploy.generate.kubernetes_rules [RUNBOOK]`.

RUNBOOK is the address of the runbook in links. By default it is /runbook of the frontend, at the host of the Ingress.
"""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import indent

from deploy.generate.helm_chart import chart as helm_chart

DEPLOY = Path(__file__).resolve().parents[1]
SOURCE = DEPLOY / "prometheus" / "rules.yml"
TARGET = DEPLOY / "kubernetes" / "monitoring" / "rules.yaml"
CONSOLE = "{{ $externalURL }}/consoles/runbook.html"  # of our own Prometheus; the operator's serves no consoles
RUNBOOK = "https://darkroom.example.com/runbook"
HEAD = """\
# Generated from deploy/prometheus/rules.yml by `python -m deploy.generate.kubernetes_rules`: change them there.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: darkroom
spec:
"""


def render_manifest(runbook: str = RUNBOOK) -> str:
    """Return the PrometheusRule: the rules with links to this runbook, indented by two columns."""
    text = SOURCE.read_text(encoding="utf-8").replace(CONSOLE, runbook)
    return HEAD + indent(text[text.index("groups:") :], "  ")


if __name__ == "__main__":
    TARGET.write_text(render_manifest(*sys.argv[1:]), encoding="utf-8")
    helm_chart.write()
