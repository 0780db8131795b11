"""Write the Helm chart: `.venv/bin/python -m deploy.generate.helm_chart`."""

from __future__ import annotations

from deploy.generate.helm_chart.chart import write

if __name__ == "__main__":
    write()
