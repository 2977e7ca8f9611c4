"""How wandb, trackio and mlflow store what `lada.training.dashboards.Dashboard` sends."""

import importlib.util
import json
import netrc
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlparse

from lada.errors import LadaError
from lada.report.entries import Entry, Grid, Made, Source, drawn
from lada.report.labels import flat
from lada.training.dashboards import About, Backend, Row

PACKAGES = {"wandb": "wandb", "trackio": "trackio", "mlflow": "mlflow-skinny"}
"""Backends by name, and what installs each."""


def check_installed(name: str) -> None:
    """Check that the package of a backend is there.

    Raises:
        LadaError: it is not installed.
    """
    if importlib.util.find_spec(name) is None:
        raise LadaError(f"logger={name}: it is not installed. Run pip install {PACKAGES[name]}.")


def make_backend(name: str, about: About, folder: Path, outputs: Path) -> Backend:
    """The backend of a run, open.

    Args:
        name: of `PACKAGES`.
        folder: of the run.
        outputs: of all runs, for a store that they share.
    """
    made: dict[str, Callable[[], Backend]] = {
        "wandb": lambda: Wandb(about, folder),
        "trackio": lambda: Trackio(about),
        "mlflow": lambda: Mlflow(about, outputs),
    }
    return made[name]()


class Wandb:
    """Weights & Biases; offline unless logged in.

    Offline, one folder has the whole run: that of a start before is replaced when a run is resumed,
    since a killed process leaves it incomplete. Online, the server tells which steps it has.
    """

    def __init__(self, about: About, folder: Path):
        import wandb

        self._wandb = wandb
        mode = os.environ.get("WANDB_MODE") or ("online" if is_logged_in() else "offline")
        if mode == "offline":
            for old in folder.glob(f"wandb/offline-run-*-{about.id}"):
                shutil.rmtree(old, ignore_errors=True)
        self._run = wandb.init(
            project=about.project,
            name=about.name,
            group=about.group,
            tags=about.tags,
            job_type=about.job,
            id=about.id,
            resume="allow",
            dir=folder,
            reinit="create_new",  # a notebook may have a run of its own
            mode=mode,  # type: ignore[arg-type]  # what else the variable has, wandb rejects
            config=dict(about.config),
        )
        self._offline = mode == "offline"
        self.last = self._run.step - 1

    def put(self, row: Row) -> None:
        stored = {name: self._stored(entry) for name, entry in row.entries.items()}
        self._run.log({**row.scalars, **stored}, step=row.step, commit=True)

    def _stored(self, entry: Entry) -> Any:
        if isinstance(entry, Grid):
            return self._wandb.Html(drawn(entry), inject=False)
        rows = [list(row) for row in entry.rows]
        return self._wandb.Table(columns=list(entry.columns), data=rows, allow_mixed_types=True)

    def finish(self, summary: Mapping[str, float], made: Made, step: int) -> None:
        for source in made.sources:
            self._use(self._source(source))
        model = self._wandb.Artifact(made.name, "model", metadata=dict(made.about))
        # The files of a finished artifact do not change: no copies of them are kept.
        model.add_dir(str(made.folder), policy="immutable")
        self._run.log_artifact(model, aliases=list(made.aliases))
        self._run.summary.update(dict(summary))

    def _source(self, source: Source) -> Any:
        found = self._wandb.Artifact(source.name, source.kind, metadata=dict(source.about))
        with found.new_file("digest.json") as f:  # the same content is the same version
            json.dump(dict(source.about), f, sort_keys=True)
        return found

    def _use(self, source: Any) -> None:
        if self._offline:
            # `use_artifact` asks the server. This is what it does with a new artifact: the record
            # is stored, and becomes an input of the run when it is synced.
            self._run._log_artifact(source, is_user_created=True, use_after_commit=True)
        else:
            self._run.use_artifact(source)

    def close(self, *, failed: bool) -> None:
        self._run.finish(exit_code=int(failed))


def is_logged_in() -> bool:
    """Whether wandb has an API key, in the environment or in the netrc file."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


class Trackio:
    """Trackio's local store (``TRACKIO_DIR``). A run that is resumed replaces what it stored."""

    def __init__(self, about: About):
        import trackio

        self._trackio = trackio
        name = f"{about.name}-{about.id}"  # runs are known by their names
        try:
            runs = list(trackio.Api().runs(about.project))
        except ValueError:  # there is no such project yet
            runs = []
        for run in runs:
            if run.name == name:
                run.delete()
        config = {**flat(about.config), "tags": ", ".join(about.tags), "job": about.job}
        trackio.init(
            project=about.project, name=name, group=about.group, config=config, embed=False
        )
        self.last = -1

    def put(self, row: Row) -> None:
        stored = {name: self._stored(entry) for name, entry in row.entries.items()}
        self._trackio.log({**row.scalars, **stored}, step=row.step)

    def _stored(self, entry: Entry) -> Any:
        if isinstance(entry, Grid):
            return self._trackio.Html(drawn(entry))
        return self._trackio.Table(
            columns=list(entry.columns), data=[list(row) for row in entry.rows]
        )

    def finish(self, summary: Mapping[str, float], made: Made, step: int) -> None:
        for source in made.sources:
            with TemporaryDirectory() as place:
                file = Path(place) / "digest.json"
                file.write_text(json.dumps(dict(source.about), sort_keys=True), encoding="utf-8")
                found = self._trackio.Artifact(
                    source.name, type=source.kind, metadata=dict(source.about)
                )
                found.add_file(file)
                self._trackio.log_artifact(found)
            self._trackio.use_artifact(f"{source.name}:latest")
        model = self._trackio.Artifact(made.name, type="model", metadata=dict(made.about))
        model.add_dir(str(made.folder))
        self._trackio.log_artifact(model, aliases=list(made.aliases))
        self._trackio.log(dict(summary), step=step)

    def close(self, *, failed: bool) -> None:
        self._trackio.finish()


class Mlflow:
    """MLflow: the server of ``MLFLOW_TRACKING_URI``, or files in ``mlruns`` beside the runs.

    A run is found by its tag ``lada.id``.
    """

    def __init__(self, about: About, outputs: Path):
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        if uri is None:
            # What the skinny package has without a server; it asks to be told so.
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
            uri = (outputs.absolute() / "mlruns").as_uri()
        import mlflow
        from mlflow.entities import Metric

        self._metric = Metric
        self._client = mlflow.MlflowClient(uri)
        found = self._client.get_experiment_by_name(about.project)
        experiment = (
            self._client.create_experiment(about.project) if found is None else found.experiment_id
        )
        runs = self._client.search_runs([experiment], f"tags.`lada.id` = '{about.id}'")
        self.last = -1
        if runs:
            self._id = runs[0].info.run_id
            self._client.update_run(self._id, status="RUNNING")
            self.last = max((self._steps(key) for key in runs[0].data.metrics), default=-1)
            return
        tags = {"lada.id": about.id, "job": about.job, "labels": ", ".join(about.tags)}
        if about.group is not None:
            tags["group"] = about.group
        self._id = self._client.create_run(experiment, run_name=about.name, tags=tags).info.run_id
        for key, value in flat(about.config).items():
            self._client.log_param(self._id, key, value)

    def _steps(self, key: str) -> int:
        return max(one.step for one in self._client.get_metric_history(self._id, key))

    def put(self, row: Row) -> None:
        now = int(time.time() * 1000)
        for name, entry in row.entries.items():
            place = f"{name}/{row.step:08d}"
            if isinstance(entry, Grid):
                self._client.log_text(self._id, drawn(entry), f"{place}.svg")
            else:
                rows = [list(line) for line in entry.rows]
                value = {"columns": list(entry.columns), "data": rows}
                self._client.log_dict(self._id, value, f"{place}.json")
        # Last, since they tell which steps are stored.
        found = [self._metric(name, value, now, row.step) for name, value in row.scalars.items()]
        self._client.log_batch(self._id, metrics=found)

    def finish(self, summary: Mapping[str, float], made: Made, step: int) -> None:
        self._client.log_artifacts(self._id, str(made.folder), "artifact")
        for source in made.sources:
            self._client.set_tag(self._id, source.kind, f"{source.name}")
            self._client.log_dict(self._id, dict(source.about), f"sources/{source.name}.json")
        self._client.set_tag(self._id, "artifact", f"{made.name}: {', '.join(made.aliases)}")
        if step > self.last:
            self.put(Row(step, dict(summary)))

    def close(self, *, failed: bool) -> None:
        self._client.set_terminated(self._id, "FAILED" if failed else "FINISHED")
