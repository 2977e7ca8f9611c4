"""A view made with wandb-workspaces, and its publication."""

from importlib import import_module
from typing import Any

from lada.report.view import Panel, View


def workspace_of(view: View, entity: str) -> Any:
    """A view as a ``Workspace`` of wandb-workspaces.

    Args:
        entity: user or team.

    Raises:
        ImportError: wandb-workspaces is not installed.
    """
    from wandb_workspaces import expr, workspaces

    return workspaces.Workspace(
        entity=entity,
        project=view.project,
        name=view.name,
        sections=[
            workspaces.Section(
                name=section.name, panels=[_panel(one) for one in section.panels], is_open=True
            )
            for section in view.sections
        ],
        runset_settings=workspaces.RunsetSettings(
            groupby=[expr.Metric("Group")],
            pinned_columns=[f"summary:{key}" for key in view.columns],
        ),
    )


def publish(view: View, entity: str) -> str:
    """Save a view on the server; returns its address."""
    workspace = workspace_of(view, entity)
    workspace.save_as_new_view()
    return str(workspace.url)


def _panel(panel: Panel) -> Any:
    reports: Any = import_module("wandb_workspaces.reports.v2")
    keys = list(panel.keys)
    if panel.kind == "lines":
        return reports.LinePlot(title=panel.title, y=keys, metric_regex=panel.pattern)
    if panel.kind == "points":
        x, y = (reports.SummaryMetric(key) for key in keys)
        return reports.ScatterPlot(title=panel.title, x=x, y=y, log_x=panel.log_x)
    if panel.kind == "bars":
        found = [reports.SummaryMetric(key) for key in keys]
        return reports.BarPlot(title=panel.title, metrics=found)
    if panel.kind == "media":
        return reports.MediaBrowser(title=panel.title, media_keys=keys)
    return reports.WeavePanelSummaryTable(table_name=keys[0])
