"""The kinds of panels in the dashboards: graph, number, heatmap, timeline and alerts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as dashboard_model
from grafana_foundation_sdk.models import heatmap as heatmap_model
from grafana_foundation_sdk.models import prometheus as prometheus_model
from grafana_foundation_sdk.models import units

SOURCE = dashboard_model.DataSourceRef(type_val="prometheus", uid="prometheus")
Panel = timeseries.Panel | stat.Panel | heatmap.Panel | statetimeline.Panel | table.Panel
GREEN, YELLOW, RED = "green", "yellow", "red"


class Query(NamedTuple):
    """One expression; `legend` names its series and may contain labels such as `{{stage}}`."""

    expression: str
    legend: str


class Thresholds(NamedTuple):
    """The values at which a panel turns yellow and red; `warn` above `bad` means that lower values are worse."""

    warn: float
    bad: float


def graph(
    title: str,
    description: str,
    *queries: Query,
    unit: str,
    width: int = 12,
    stacked: bool = False,
    limits: Thresholds | None = None,
) -> timeseries.Panel:
    """Return a panel with lines over time, and with `limits` as dashed lines."""
    panel = timeseries.Panel().title(title).description(description).datasource(SOURCE).unit(unit).min(0)
    panel.span(width).height(8).targets(list(_targets(queries))).legend(_legend()).tooltip(_tooltip())
    panel.line_width(1).fill_opacity(30 if stacked else 5).show_points(common_model.VisibilityMode.NEVER)
    if stacked:
        panel.stacking(common.StackingConfig().mode(common_model.StackingMode.NORMAL).group("A"))
    if limits:
        style = common.GraphThresholdsStyleConfig().mode(common_model.GraphTresholdsStyleMode.DASHED)
        panel.thresholds(_thresholds(limits)).thresholds_style(style)
    return panel


def number(
    title: str, description: str, expression: str, *, unit: str, width: int = 4, limits: Thresholds | None = None
) -> stat.Panel:
    """Return a panel with the current value, coloured by `limits`."""
    panel = stat.Panel().title(title).description(description).datasource(SOURCE).unit(unit)
    (target,) = _targets([Query(expression, title)])
    panel.span(width).height(4).with_target(target.instant() if "$__range" in expression else target)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False))
    panel.graph_mode(common_model.BigValueGraphMode.AREA).thresholds(_thresholds(limits))
    return panel.color_mode(common_model.BigValueColorMode.VALUE if limits else common_model.BigValueColorMode.NONE)


def heat(title: str, description: str, buckets: str, *, unit: str, width: int = 12) -> heatmap.Panel:
    """Return a heatmap of a histogram's observations over time; `buckets` is a rate by `le`."""
    panel = heatmap.Panel().title(title).description(description).datasource(SOURCE).unit(unit)
    query = prometheus.Dataquery().expr(buckets).legend_format("{{le}}").ref_id("A").datasource(SOURCE).range()
    panel.span(width).height(9).with_target(query.format(prometheus_model.PromQueryFormat.HEATMAP))
    colours = heatmap.HeatmapColorOptions().mode(heatmap_model.HeatmapColorMode.SCHEME).scheme("Oranges").steps(64)
    panel.calculate(calculate=False).color(colours.exponent(0.5)).cell_gap(1)
    panel.rows_frame(heatmap.RowsHeatmapOptions().layout(common_model.HeatmapCellLayout.AUTO))
    panel.y_axis(heatmap.YAxisConfig().unit(unit).axis_placement(common_model.AxisPlacement.LEFT))
    return panel.filter_values(heatmap.FilterValueRange().le(1e-9)).show_legend().show_tooltip().show_y_histogram()


def timeline(title: str, description: str, *queries: Query, width: int = 12) -> statetimeline.Panel:
    """Return a panel with one line per series, up (1) or down (0) over time."""
    panel = statetimeline.Panel().title(title).description(description).datasource(SOURCE).unit(units.Short)
    panel.span(width).height(8).targets(list(_targets(queries))).show_value(common_model.VisibilityMode.NEVER)
    words = {
        "0": dashboard_model.ValueMappingResult(text="down", color=RED, index=0),
        "1": dashboard_model.ValueMappingResult(text="up", color=GREEN, index=1),
    }
    panel.mappings([dashboard_model.ValueMap(options=words)]).row_height(0.9).merge_values(merge_values=True)
    return panel.color_scheme(dashboard.FieldColor().mode(dashboard_model.FieldColorModeId.THRESHOLDS))


def alerts(title: str, description: str, *, width: int, height: int = 8) -> table.Panel:
    """Return a table of the alerts that fire, with how long each has been active; its name links to the runbook.

    From Prometheus' own series, so that Grafana needs no alerting.
    """
    firing = '(time() - ALERTS_FOR_STATE) and ignoring (alertstate) ALERTS{alertstate="firing"}'
    target = prometheus.Dataquery().expr(firing).legend_format("alerts").ref_id("A").datasource(SOURCE).instant()
    panel = table.Panel().title(title).description(description).datasource(SOURCE).unit(units.DurationSeconds)
    panel.span(width).height(height).with_target(target.format(prometheus_model.PromQueryFormat.TABLE))
    columns = ["Value", "severity", "alertname", "queue", "dependency", "state", "pool", "instance"]
    panel.with_transformation(
        dashboard_model.DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": {"Time": True, "__name__": True, "job": True},
                "indexByName": {name: place for place, name in enumerate(columns)},
                "renameByName": {"Value": "active for", "alertname": "alert"},
            },
        )
    )
    link = {"title": "Runbook", "url": "${prometheus}/consoles/runbook.html#${__value.raw}", "targetBlank": True}
    panel.override_by_name("alert", [dashboard_model.DynamicConfigValue(id_val="links", value=[link])])
    return panel.show_header(show_header=True).no_value("No alert fires.")


def _targets(queries: Sequence[Query]) -> Iterator[prometheus.Dataquery]:
    for letter, query in zip("ABCDEFGH", queries, strict=False):
        target = prometheus.Dataquery().expr(query.expression).legend_format(query.legend).ref_id(letter)
        yield target.datasource(SOURCE).range().format(prometheus_model.PromQueryFormat.TIME_SERIES)


def _legend() -> common.VizLegendOptions:
    options = common.VizLegendOptions().show_legend(show_legend=True).calcs(["mean", "lastNotNull"])
    return options.display_mode(common_model.LegendDisplayMode.TABLE).placement(common_model.LegendPlacement.BOTTOM)


def _tooltip() -> common.VizTooltipOptions:
    options = common.VizTooltipOptions().mode(common_model.TooltipDisplayMode.MULTI)
    return options.sort(common_model.SortOrder.DESCENDING)


def _thresholds(limits: Thresholds | None) -> dashboard.ThresholdsConfig:
    config = dashboard.ThresholdsConfig().mode(dashboard_model.ThresholdsMode.ABSOLUTE)
    if limits is None:
        return config.steps([_step(None, GREEN)])
    if limits.warn > limits.bad:
        return config.steps([_step(None, RED), _step(limits.bad, YELLOW), _step(limits.warn, GREEN)])
    return config.steps([_step(None, GREEN), _step(limits.warn, YELLOW), _step(limits.bad, RED)])


def _step(value: float | None, colour: str) -> dashboard_model.Threshold:
    return dashboard_model.Threshold(value=value, color=colour)
