"""Builders of the PromQL expressions in panels; `where` is the label matchers, without the braces."""

from __future__ import annotations

from deploy.generate.dashboards.panels import Query

WINDOW = "[$__rate_interval]"
RANGE = "[$__range]"
"""The time range that the dashboard shows."""


def rate(counter: str, where: str = "", *, by: str = "") -> str:
    """Return the increase of a counter per second."""
    return f"sum{_by(by)} (rate({counter}{_label_matchers(where)}{WINDOW}))"


def increase(counter: str, where: str = "", *, by: str = "") -> str:
    """Return the increase of a counter over the time range shown."""
    return f"sum{_by(by)} (increase({counter}{_label_matchers(where)}{RANGE}))"


def quantile(share: float, histogram: str, where: str = "", *, by: str = "") -> str:
    """Return the value that `share` of a histogram's observations do not exceed; empty without observations."""
    labels = f"le, {by}" if by else "le"
    buckets = f"{histogram}_bucket{_label_matchers(where)}{WINDOW}"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({buckets})))"


def buckets(histogram: str, where: str = "") -> str:
    """Return a histogram's observations per second and bucket, for a heatmap."""
    return f"sum by (le) (rate({histogram}_bucket{_label_matchers(where)}{WINDOW}))"


def mean(histogram: str, where: str = "", *, by: str = "") -> str:
    """Return the mean of a histogram's observations; empty without observations."""
    return f"{rate(f'{histogram}_sum', where, by=by)} / ({rate(f'{histogram}_count', where, by=by)} > 0)"


def percentiles(histogram: str, where: str = "", *, by: str = "") -> list[Query]:
    """Return queries for the median and the 95th percentile of a histogram, with a legend by label."""
    labels = f" {{{{{by}}}}}" if by else ""
    return [Query(quantile(share, histogram, where, by=by), f"p{share * 100:.0f}{labels}") for share in (0.5, 0.95)]


def _by(labels: str) -> str:
    return f" by ({labels})" if labels else ""


def _label_matchers(where: str) -> str:
    return f"{{{where}}}" if where else ""
