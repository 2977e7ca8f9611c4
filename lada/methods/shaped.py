"""Students of their teacher's family and of another shape than it. Shared by methods."""

import copy
from pathlib import Path

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from lada.errors import LadaError
from lada.methods.forms import ShapeSettings
from lada.methods.groups import ScheduleConfig
from lada.methods.structures import WHOLE_EMBEDDINGS, SmallByForm, compress_embeddings_
from lada.nn.autos import auto_of
from lada.nn.classes import class_count, class_names
from lada.nn.families import family_of, keep_layers_
from lada.nn.narrow import narrow_
from lada.nn.pretrained import check_encoder_folder, encoder_config, load_classifier
from lada.nn.projection import uniform_layers
from lada.nn.surgery import inventory
from lada.ops.budget import BudgetError, Inventory
from lada.ops.plan import Plan
from lada.ops.shape import nearest_layers, solve_width
from lada.ops.statistics import Statistics

SOLVED = "method.width=null method.inner=null"


class Shaped(SmallByForm):
    """A model of another shape: from scratch, from the teacher, or from a pretrained folder.

    Args:
        shape: of the student. Null layers are 4, or the nearest number that divides the
            teacher's; null heads are the teacher's; a null width is solved from the target (see
            `lada.ops.shape.solve_width`).
        target: times smaller than the teacher; None: as many parameters as the shape makes.
        seed: of a student from scratch, and of a pretrained one's classifier.
        statistics: what the teacher's layers see, for a student that starts from it; None: not
            known yet.
    """

    def __init__(
        self,
        shape: ShapeSettings,
        target: float | None,
        schedule: ScheduleConfig,
        *,
        seed: int,
        statistics: Statistics | None = None,
    ):
        super().__init__(target, shape.embedding, schedule)
        self._sizes = shape
        self._folder = None if shape.path is None else Path(shape.path)
        self._seed = seed
        self._statistics = statistics

    def plan(self, dense: PreTrainedModel, rounds: int) -> Plan:
        """See `SmallByForm`. Without a folder there is one round, at the start."""
        config, how = self._settled(dense)
        if self._sizes.start == "teacher":
            _check_narrower(config, dense.config)
        advice = ""
        if self._folder is None:
            rounds = 1
            if self._sizes.width is not None:
                advice = f"; {SOLVED} solves the width from the target"
        solved = self._sizes.width is None or self._sizes.inner is None
        counted = _count(dense, config)
        return self._plan(counted, dense, rounds, how=how, solved=solved, advice=advice)

    def build(self, teacher: PreTrainedModel, plan: Plan) -> PreTrainedModel:
        """The student, with its word embeddings in the form of the plan."""
        if self._folder is None:
            config, _ = self._settled(teacher)
            torch.manual_seed(self._seed)
            student: PreTrainedModel = type(teacher)(config)
            if self._sizes.start == "teacher":
                assert self._statistics is not None  # `needs_statistics` sees to it
                narrow_(student, teacher, self._statistics)
        else:
            student = load_classifier(
                self._folder,
                class_names(teacher.config),
                self._seed,
                problem=teacher.config.problem_type,
                auto=auto_of(teacher),
            )
        student.train()
        compress_embeddings_(student, plan, self._statistics)
        return student

    def _settled(self, dense: PreTrainedModel) -> tuple[PreTrainedConfig, str]:
        """The student's config, nulls settled, and how its word embeddings are compressed."""
        m, theirs = self._sizes, dense.config
        config = copy.deepcopy(theirs)
        layers = nearest_layers(theirs.num_hidden_layers) if m.layers is None else m.layers
        heads = theirs.num_attention_heads if m.heads is None else m.heads
        keep_layers_(config, range(layers))
        config.num_attention_heads = heads
        if m.width is None or m.inner is None:
            width, inner, how = self._solved(dense, config)
        else:
            width, inner, how = m.width, m.inner, m.embedding
        if width % heads:
            raise LadaError(
                f"method.heads=null: the teacher's {heads} do not divide method.width={width}; "
                f"give a multiple of {heads}, or {SOLVED}"
            )
        _resize_(config, width, inner)
        return (config if self._folder is None else _pretrained(self._folder, config)), how

    def _solved(self, dense: PreTrainedModel, config: PreTrainedConfig) -> tuple[int, int, str]:
        """Width, units of the feed-forward layers, and how the word embeddings are compressed."""
        assert self._target is not None  # `ShapeSettings.check` sees to it
        heads = config.num_attention_heads

        def count(width: int, inner: int) -> Inventory:
            _resize_(config, width, inner)
            return _count(dense, config)

        widths = range(heads, dense.config.hidden_size + 1, heads)
        if not widths:
            raise LadaError(
                f"method.heads={heads}: the student is as wide as the teacher at most, "
                f"{dense.config.hidden_size}. Give that or less."
            )
        total, how = inventory(dense).total, self._sizes.embedding
        try:
            width, inner, whole = solve_width(count, total, self._target, how, widths)
        except BudgetError as error:
            advice = WHOLE_EMBEDDINGS if how == "keep" and error.reach < self._target else ""
            raise LadaError(f"target.ratio={self._target:g}: {error}{advice}") from None
        return width, inner, "keep" if whole else how


def _check_narrower(config: PreTrainedConfig, theirs: PreTrainedConfig) -> None:
    """Reject a student that its teacher cannot be narrowed to."""
    start = "method.start=teacher takes weights of the teacher"
    try:
        uniform_layers(theirs.num_hidden_layers, config.num_hidden_layers)
    except ValueError as error:
        raise LadaError(f"method.layers: {start}, and {error}") from None
    if config.num_attention_heads != theirs.num_attention_heads:
        raise LadaError(
            f"method.heads={config.num_attention_heads}: {start}, which has "
            f"{theirs.num_attention_heads}. Give that or null."
        )
    for key, name in (("width", "hidden_size"), ("inner", family_of(theirs).inner)):
        ours, most = getattr(config, name), getattr(theirs, name)
        if ours > most:
            raise LadaError(f"method.{key}={ours}: {start}, which has {most}. Give that or less.")


def _count(dense: PreTrainedModel, config: PreTrainedConfig) -> Inventory:
    """What the teacher would have with this config."""
    with torch.device("meta"):
        return inventory(type(dense)(config))


def _resize_(config: PreTrainedConfig, width: int, inner: int) -> None:
    """Set the widths in place, by the names of the family."""
    config.hidden_size = width
    setattr(config, family_of(config).inner, inner)
    if hasattr(config, "pooler_hidden_size"):  # DeBERTa's, of the width of its layers
        config.pooler_hidden_size = width


def _pretrained(folder: Path, wanted: PreTrainedConfig) -> PreTrainedConfig:
    """The config of a pretrained student, if it has the shape that is wanted."""
    check_encoder_folder(folder, "method.path")
    found = encoder_config(folder)
    if found.model_type != wanted.model_type:
        raise LadaError(
            f"method.path={folder}: it is a {found.model_type}, the teacher a {wanted.model_type}. "
            "Give a model of the teacher's family."
        )
    keys = {
        "layers": "num_hidden_layers",
        "width": "hidden_size",
        "inner": family_of(wanted).inner,
        "heads": "num_attention_heads",
    }
    if any(getattr(found, name) != getattr(wanted, name) for name in keys.values()):
        shape = " ".join(f"method.{key}={getattr(found, name)}" for key, name in keys.items())
        raise LadaError(f"method.path={folder}: it has another shape. Give {shape}.")
    for name, what in (("vocab_size", "tokens"), ("max_position_embeddings", "positions")):
        ours, theirs = getattr(found, name), getattr(wanted, name)
        if ours != theirs:
            raise LadaError(
                f"method.path={folder}: it has {ours} {what}, the teacher {theirs}. Give a model "
                "with the teacher's tokenizer and positions"
            )
    found.num_labels = class_count(wanted)
    return found
