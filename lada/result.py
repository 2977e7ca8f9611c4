"""The result of `lada.compress`."""

import io
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from rich.console import Console

from lada import artifact
from lada.artifact import Classifier
from lada.report.html import run_html
from lada.report.table import run_table

_WIDTH = 100
"""Width of the table as text, in characters."""


@dataclass(frozen=True)
class Result:
    """A finished compression. In a notebook it is displayed as the table of its run.

    Example:
        >>> result = lada.compress("minilm-l6", train, dev)  # doctest: +SKIP
        >>> (result.artifact / "config.json").is_file()
        True
        >>> sorted(result.scores)
        ['dev']
        >>> result.scores["dev"]["accuracy"] > 0.9
        True
        >>> result.classifier(["what a lovely soup"])[0].label
        'good'
    """

    folder: Path
    """The folder of the run: artifact, record, checkpoints, curves."""
    record: dict[str, Any] = field(repr=False)
    """The record of the run; the same as ``results.json`` in ``folder``."""

    @property
    def artifact(self) -> Path:
        """The folder of the smaller model: for `lada.load` and transformers' Auto classes."""
        return self.folder / "artifact"

    @cached_property
    def classifier(self) -> Classifier:
        """The smaller model, read from its file: ``result.classifier(["a text"])``."""
        return artifact.load(self.artifact)

    @property
    def scores(self) -> dict[str, dict[str, Any]]:
        """The scores of the artifact by dev split: ``scores["dev"]["accuracy"]`` is in [0, 1]."""
        found: dict[str, dict[str, Any]] = self.record["artifact"]["scores"]
        return found

    @property
    def ratio(self) -> float:
        """Parameters of the teacher over nonzero parameters of the artifact."""
        return float(self.record["reached"])

    def __str__(self) -> str:
        text = io.StringIO()
        # Not the width of the terminal: a table in a log should not depend on it.
        console = Console(file=text, width=_WIDTH, color_system=None, force_terminal=False,
                          force_jupyter=False)  # fmt: skip
        console.print(run_table(self.record))
        console.print(f"artifact: {self.artifact}", soft_wrap=True, markup=False, highlight=False)
        lines = (line.rstrip() for line in text.getvalue().splitlines())
        return "\n".join(lines).strip("\n")

    def _repr_html_(self) -> str:
        return run_html(self.record, [("artifact", str(self.artifact))])
