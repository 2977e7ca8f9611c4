"""What a finished run has left in its folder, as the page needs it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lada.files import read_text
from lada.heads.kinds import Metric
from lada.report.curve import curve_metric, read_curve, read_losses
from lada.report.predictions import PREDICTIONS, read_units
from lada.report.record import renamed
from lada.report.table import deciding

DETAILS = "details.json"
"""What a run writes for the page alone, see `lada.run.details`."""
RESULTS = "results.json"
MOST_BYTES = 64 * 10**6
"""Of a file that is read; none of a run is larger."""


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        record: its ``results.json``.
        curve: see `lada.report.curve.read_curve`.
        checked: the metric of the validation checks.
        losses: by term, (step, value), see `lada.report.curve.read_losses`.
        details: its ``details.json``; empty for a run of an older version.
        units: see `lada.report.predictions.read_units`; empty where there is no such file.
    """

    record: dict[str, Any]
    curve: list[dict[str, Any]]
    checked: Metric | None
    losses: dict[str, list[tuple[int, float]]]
    details: dict[str, Any]
    units: dict[str, dict[str, NDArray[Any]]]

    @property
    def metric(self) -> Metric:
        """The one that decides."""
        return deciding(self.record)

    @property
    def splits(self) -> list[str]:
        """The dev splits."""
        return list(self.record["artifact"]["scores"])

    @property
    def kind(self) -> str:
        """The kind of its task."""
        kind: str = self.record.get("kind", "single_label")
        return kind

    @property
    def labels(self) -> list[str]:
        """Names of the classes by id; empty where there are none."""
        return [str(name) for name in self.record.get("labels", ())]

    def of_split(self, split: str) -> dict[str, Any]:
        """The details of a dev split."""
        found: dict[str, Any] = self.details.get("splits", {}).get(split, {})
        return found


def read_run(folder: Path) -> Run:
    """The run in a folder.

    Raises:
        OSError: it has no ``results.json``.
        ValueError: a file is not what a run writes.
        LadaError: it is no regular file, or far too large.
    """
    record = renamed(_read(folder / RESULTS))
    details = folder / DETAILS
    predictions = folder / PREDICTIONS
    return Run(
        record=record,
        curve=[check for check in read_curve(folder) if np.isfinite(check["validation"])],
        checked=curve_metric(folder),
        losses=read_losses(folder / "metrics.csv"),
        details=_read(details) if details.is_file() else {},
        units=read_units(predictions) if predictions.is_file() else {},
    )


def _read(file: Path) -> dict[str, Any]:
    # A score may be NaN, which JSON proper has not.
    found = json.loads(read_text(file, MOST_BYTES))
    if not isinstance(found, dict):
        raise ValueError(f"{file}: is not a record")
    return found
