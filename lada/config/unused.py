"""Settings that a run would ignore without a word: each is an error, with the reason."""

from collections.abc import Sequence

from lada.config.whole import Config
from lada.errors import LadaError
from lada.heads.kinds import KINDS
from lada.methods import methods
from lada.schema import keys_of
from lada.values import printable, shown

ALWAYS = {"name", "max_length", "unlabeled_file"}
OF_FILES = {"train_file", "dev_file", "test_file", "encoding"}
OF_TABLES = OF_FILES | {"text", "text_pair", "label", "delimiter"}
READS = {
    "csv": OF_TABLES | {"kind", "query", "separator", "probabilities", "probabilities_weight"},
    "conll": OF_FILES | {"text", "label"},
    "squad": OF_FILES,
    "texts": OF_TABLES,
}
"""Keys that every task reads, and those of tasks that are read from a user's files."""
OF_TRAINING = ("lr", "epochs", "steps", "batch_size", "warmup", "weight_decay")
"""Keys of the training of a teacher."""
OFFICIAL = ("sst2", "mnli", "qqp", "qnli", "cola", "mrpc", "rte", "stsb", "wnli")
"""Tasks whose files lie in ``data.dir``."""


def check_unused(config: Config, overrides: Sequence[str]) -> None:
    """Reject what was asked for and this run does not use.

    A key is looked at where it was given on the command line: ``debug=fast`` may shorten a schedule
    that a method does not have. ``teacher_cache`` and ``trainer`` are of a machine and may be given
    for any method.

    Args:
        overrides: of the command line, such as ``distill.hidden=0``.

    Raises:
        LadaError: naming the first such key, and why it is not used.
    """
    _check_groups(config, overrides)
    _check_data(config)
    if config.compile and not config.method.trained:
        raise LadaError(f"compile=true: method={config.method.name} trains nothing. Leave it out.")
    reasons = _reasons(config)
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        if (key, value) == ("teacher", "folder") and config.teacher.path is None:
            raise LadaError(
                "teacher.path=null: teacher=folder needs the folder of a fine-tuned classifier. "
                "Give teacher.path=FOLDER, or leave teacher=folder out to have one trained."
            )
        for unused, reason in reasons.items():
            if key == unused or key.startswith(f"{unused}."):
                raise LadaError(
                    f"{printable(override)}: is not used, since {reason}. Leave it out."
                )


def _check_groups(config: Config, overrides: Sequence[str]) -> None:
    """Groups that methods read, given to one that does not read them."""
    for override in overrides:
        group = override.lstrip("+~").partition("=")[0].partition(".")[0]
        if group in ("ratios", "distill") and group not in config.method.reads:
            readers = [name for name, method in methods().items() if group in method.reads]
            raise LadaError(
                f"{printable(override)}: is not used by method={config.method.name}. Leave it out, "
                f"or take one of {', '.join(readers)}."
            )


def _check_data(config: Config) -> None:
    """Keys of the data of another task, wherever they come from: they are null unless given."""
    t = config.task
    for name in keys_of(type(t)):
        value = getattr(t, name)
        readers = [task for task, keys in READS.items() if name in keys]
        if t.name not in readers and name not in ALWAYS and value is not None:
            raise LadaError(
                f"task.{name}={shown(value)}: is not used, since it goes with "
                f"task={' or '.join(readers)} and this is task={t.name}. Leave it out, or give "
                f"task={readers[0]}."
            )
    if t.name == "texts" and t.unlabeled_file is not None:
        raise LadaError(
            f"task.unlabeled_file={shown(t.unlabeled_file)}: is not used, since task=texts "
            "has no labels. Give both files as task.train_file=[FILE,FILE]."
        )
    if config.data.mlm is not None and not config.data.augment:
        raise LadaError(
            f"data.mlm={shown(config.data.mlm)}: is not used, since data.augment is 0. Leave it "
            "out, or give data.augment=4."
        )
    if t.probabilities_weight is not None and t.probabilities is None:
        raise LadaError(
            f"task.probabilities_weight={t.probabilities_weight:g}: is not used, since "
            "task.probabilities is null. Leave it out, or give task.probabilities=COLUMN."
        )
    if t.name not in OFFICIAL and config.data.dir is not None:
        raise LadaError(
            f"data.dir={shown(config.data.dir)}: is not used, since task={t.name} reads no folder. "
            f"Leave it out, or take one of task={', '.join(OFFICIAL)}."
        )


def _reasons(config: Config) -> dict[str, str]:
    """Keys, or groups, that this run does not use, and why."""
    c, m = config, config.method
    out: dict[str, str] = {}
    if c.teacher.path is not None:
        given = "teacher.path is given and no teacher is trained"
        out |= {f"teacher.{name}": given for name in OF_TRAINING}
        out |= {"model.teacher_lr": given, "model.path": "the student starts from teacher.path"}
    kind = KINDS[c.context.kind]
    if not kind.labelled:
        whole = f"task={c.task.name} takes the teacher as it is"
        out |= dict.fromkeys(
            [*(f"teacher.{name}" for name in OF_TRAINING), "model.teacher_lr"], whole
        )
    if not kind.logits and "distill" in m.reads:
        out["distill.temperature"] = f"{kind.what} is not softened"
    if not m.trained:
        out["optim"] = f"method={m.name} trains nothing"
    out |= m.unused(c.context)
    if c.schedule.every != "auto":
        out["schedule.rounds"] = f"schedule.every={c.schedule.every} sets the number of rounds"
    elif c.schedule.delta is not None:
        out["schedule.rounds"] = "schedule.delta sets the number of rounds"
    if c.trainer.precision == "fp32":
        out["trainer.skipped_steps"] = "trainer.precision=fp32 skips no step"
    if c.trainer.strategy == "ddp" or c.trainer.accelerator == "cpu":
        out["trainer.jobs_per_gpu"] = "this run does not share a GPU with others"
    if c.logger.name in ("csv", "tensorboard"):
        out["logger.project"] = f"logger={c.logger.name} has no projects"
    return out
