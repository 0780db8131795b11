"""What all dashboards share: variables, links, deploy annotations, and the grid of panels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from deploy.generate.dashboards.panels import SOURCE, Panel

TAG = "darkroom"
EVERY = model.VariableOption(selected=True, text=["All"], value=["$__all"])


class Section(NamedTuple):
    """A row of a dashboard with a title; its panels fill lines of 24 columns from the left, each `width` if given."""

    title: str
    panels: Sequence[Panel]
    width: int | None = None


class Starts(Builder[model.AnnotationQuery]):
    """Annotations at the start of each process, to show deploys.

    A class of our own, because the SDK's builder lacks `useValueForTime`, which makes Grafana take the time from the
    value of the series. So Grafana shows new processes, and those that started between two points of a graph.
    """

    def build(self) -> model.AnnotationQuery:
        """Return the query with the fields that Grafana's Prometheus plugin reads."""
        return _StartsQuery(
            name="Starts",
            datasource=SOURCE,
            icon_color="purple",
            expr=(
                'process_start_time_seconds{job=~"gateway|workers"} * 1000'
                " * on (job, instance) group_left (version) darkroom_build_info"
            ),
        )


class _StartsQuery(model.AnnotationQuery):
    def to_json(self) -> dict[str, object]:
        texts = {"titleFormat": "{{job}} started", "textFormat": "{{instance}} {{pool}}, version {{version}}"}
        return super().to_json() | texts | {"tagKeys": "job,version", "step": "15s", "useValueForTime": True}


def build_dashboard(title: str, *, uid: str, description: str, sections: Sequence[Section]) -> model.Dashboard:
    """Build a dashboard of sections; panel ids count from 1."""
    board = dashboard.Dashboard(title).uid(uid).description(description).tags([TAG]).timezone("browser")
    board.time("now-1h", "now").refresh("15s").editable().tooltip(model.DashboardCursorSync.CROSSHAIR)
    board.variables(_variables()).links(_links()).annotations([Starts()])
    numbers = count(1)
    for section in sections:
        board.with_row(dashboard.Row(section.title).id(next(numbers)))
        for panel in section.panels:
            board.with_panel((panel.span(section.width) if section.width else panel).id(next(numbers)))
    return board.build()


def _variables() -> list[Builder[model.VariableModel]]:
    return [
        _label("queue", "Queue", "label_values(darkroom_queue_length, queue)"),
        _label("stage", "Stage", "label_values(darkroom_stage_runs_total, stage)"),
        _text("task_id", "Task id", "", "task id of a job, for the links at the top"),
        _text("ui", "Page", "http://localhost:8000", "address of Darkroom's page, as the browser reaches it"),
        _text("flower", "Flower", "http://localhost:5555", "address of Flower, as the browser reaches it"),
        _text("prometheus", "Prometheus", "http://localhost:9090", "address of Prometheus, as the browser reaches it"),
    ]


def _label(name: str, label: str, query: str) -> dashboard.QueryVariable:
    variable = dashboard.QueryVariable(name).label(label).query(query).datasource(SOURCE).current(EVERY)
    variable.multi(multi=True).include_all(include_all=True).all_value(".+")
    return variable.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(model.VariableSort.ALPHABETICAL_ASC)


def _text(name: str, label: str, value: str, description: str) -> dashboard.TextBoxVariable:
    variable = dashboard.TextBoxVariable(name).label(label).description(description).default_value(value)
    return variable.current(model.VariableOption(selected=True, text=value, value=value))


def _links() -> list[Builder[model.DashboardLink]]:
    boards = (
        dashboard.DashboardLink("Darkroom")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(as_dropdown=True)
    )
    return [
        boards.include_vars(include_vars=True).keep_time(keep_time=True),
        _link("Job", "${ui}/#/jobs/${task_id}", "The job with the id in `Task id`, on Darkroom's page"),
        _link(
            "Task in Flower",
            "${flower}/task/${task_id}",
            "The first task of the job with the id in `Task id`, in Flower",
        ),
    ]


def _link(title: str, url: str, tooltip: str) -> dashboard.DashboardLink:
    link = dashboard.DashboardLink(title).type(model.DashboardLinkType.LINK).url(url).tooltip(tooltip)
    return link.icon("external link").target_blank(target_blank=True)
