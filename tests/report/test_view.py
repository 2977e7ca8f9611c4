"""The saved view of Weights & Biases: as plain values, and as wandb-workspaces makes it."""

import json

import pytest

from lada.report.publish import workspace_of
from lada.report.view import as_json, unknown_keys, view_of

# Of wandb-workspaces itself.
pytestmark = pytest.mark.filterwarnings("ignore:Pydantic V1 style")


def test_a_view_is_what_wandb_workspaces_makes_of_it() -> None:
    view = view_of("p")
    workspace = workspace_of(view, "team")
    assert (workspace.entity, workspace.project, workspace.name) == ("team", "p", "LadaBERT")
    assert [section.name for section in workspace.sections] == [s.name for s in view.sections]
    text = workspace._to_model().model_dump_json()  # what a save sends
    for section in view.sections:
        for panel in section.panels:
            for key in (*panel.keys, *([panel.pattern] if panel.pattern else [])):
                assert key in text, key
    assert "summary:final/score" in text
    assert json.loads(json.dumps(as_json(view)))["sections"][0]["panels"][0]["kind"] == "points"


def test_keys_that_no_run_has_are_found() -> None:
    view = view_of("p", "dev_matched")
    keys = {key for s in view.sections for panel in s.panels for key in panel.keys}
    stored = {*keys, *view.columns, "validation/mcc", "train/hidden"}
    assert unknown_keys(view, stored) == []
    assert unknown_keys(view, stored - {"optim/lr", "validation/mcc"}) == [
        "optim/lr",
        "^validation/.*",
    ]
