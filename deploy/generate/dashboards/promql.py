"""The shapes of expression that panels ask for; `where` holds label matchers as they stand between braces."""

from __future__ import annotations

from deploy.generate.dashboards.panels import Query

WINDOW = "[$__rate_interval]"
RANGE = "[$__range]"
"""What the dashboard shows, from its left edge to its right."""


def rate(counter: str, where: str = "", *, by: str = "") -> str:
    """Return how fast a counter grows, a second."""
    return f"sum{_by(by)} (rate({counter}{_label_matchers(where)}{WINDOW}))"


def increase(counter: str, where: str = "", *, by: str = "") -> str:
    """Return by how much a counter grew in the time that is shown."""
    return f"sum{_by(by)} (increase({counter}{_label_matchers(where)}{RANGE}))"


def quantile(share: float, histogram: str, where: str = "", *, by: str = "") -> str:
    """Return the value that `share` of a histogram's observations do not exceed; nothing while there are none."""
    labels = f"le, {by}" if by else "le"
    buckets = f"{histogram}_bucket{_label_matchers(where)}{WINDOW}"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({buckets})))"


def buckets(histogram: str, where: str = "") -> str:
    """Return a histogram's observations a second, by bucket, for a heatmap."""
    return f"sum by (le) (rate({histogram}_bucket{_label_matchers(where)}{WINDOW}))"


def mean(histogram: str, where: str = "", *, by: str = "") -> str:
    """Return the mean of a histogram's observations; nothing while there are none."""
    return f"{rate(f'{histogram}_sum', where, by=by)} / ({rate(f'{histogram}_count', where, by=by)} > 0)"


def ratio(part: str, whole: str) -> str:
    """Return one expression over another; nothing while the other is zero."""
    return f"{part} / ({whole} > 0)"


def percentiles(histogram: str, where: str = "", *, by: str = "") -> list[Query]:
    """Return the middle and the tail of a histogram, named by their labels."""
    labels = f" {{{{{by}}}}}" if by else ""
    return [Query(quantile(share, histogram, where, by=by), f"p{share * 100:.0f}{labels}") for share in (0.5, 0.95)]


def _by(labels: str) -> str:
    return f" by ({labels})" if labels else ""


def _label_matchers(where: str) -> str:
    return f"{{{where}}}" if where else ""
