"""The header of a model card: what the hub shows of a model, and finds it by."""

import json
from collections.abc import Mapping
from typing import Any

from lada.heads.kinds import KINDS, METRICS, Kind, hub_task
from lada.report.majority import is_uneven
from lada.report.table import shown_metrics

HEADER = """\
library_name: {library}
pipeline_tag: {tag}
tags: {tags}
lada:
  method: {method}
  task: {task}
  kind: {kind}
  target: {target}
  reached: {reached:.3f}
model-index:
- name: {name}
  results:
{results}"""


def kind_of(record: Mapping[str, Any]) -> Kind:
    """The kind of a run's task; older records do not name it."""
    return KINDS[record.get("kind", "single_label")]


def family_of(record: Mapping[str, Any]) -> str:
    """The family of a run's teacher; older records do not name it."""
    return str(record.get("family", "bert"))


def header(record: Mapping[str, Any]) -> str:
    """The card's YAML header, without the lines around it.

    Args:
        record: of a run, as in ``results.json``.
    """
    config, kind = record["config"], kind_of(record)
    task, model, method = (config[part]["name"] for part in ("task", "model", "method"))
    size = record["target"] or round(record["reached"], 2)
    tags = ("lada", "compressed", method, kind.name.replace("_", "-"), family_of(record))
    return HEADER.format(
        library=kind.library,
        tag=_task(record),
        tags=json.dumps(list(dict.fromkeys(tags))),
        method=method,
        task=task,
        kind=kind.name,
        target="null" if record["target"] is None else f"{record['target']:g}",
        reached=record["reached"],
        name=json.dumps(f"{model}-{task}-{size:g}x"),
        results="\n".join(_results(task, record)),
    )


def _task(record: Mapping[str, Any]) -> str:
    return hub_task(kind_of(record), record.get("metrics", ()))


def _results(task: str, record: Mapping[str, Any]) -> list[str]:
    """Scores in the format of the hub."""
    lines = []
    for split, found in record["artifact"]["scores"].items():
        names = (("name", task), ("type", task), ("split", split))
        dataset = ", ".join(f"{key}: {json.dumps(value)}" for key, value in names)
        lines += [f"  - task: {{type: {_task(record)}}}", f"    dataset: {{{dataset}}}"]
        lines.append("    metrics:")
        metrics = shown_metrics(record, found)
        if is_uneven(found):
            metrics += [METRICS["mcc"], METRICS["macro_f1"]]
        for metric in dict.fromkeys(metrics):
            value = f"value: {found[metric.name]:.4f}"
            called = json.dumps(metric.hub or metric.name)
            lines.append(f"    - {{type: {called}, name: {json.dumps(metric.title)}, {value}}}")
    return lines
