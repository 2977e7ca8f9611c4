"""Settings of methods: what every method says of itself, and the keys that several share.

Nothing here imports torch: settings are checked before anything is loaded.
"""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from lada.errors import LadaError
from lada.heads.kinds import KINDS
from lada.methods.families import serves
from lada.methods.groups import DistillConfig, RatiosConfig, ScheduleConfig
from lada.nn.families import FAMILIES
from lada.schema import consistent, setting, settings
from lada.values import shown

if TYPE_CHECKING:
    from lada.heads.base import Head
    from lada.methods.base import Method, Structure
    from lada.methods.parts import Parts
    from lada.ops.allocate import Spectra
    from lada.ops.statistics import Statistics

NEED_LABELS = frozenset({"fisher", "fisher_whitened"})
"""The factorizers that use gradients of the labels' loss on examples."""

NEED_EXAMPLES = frozenset({"whitened", "activation"}) | NEED_LABELS
"""The factorizers and scores that use what a model's layers see of examples."""

NEED_GRADIENTS = frozenset({"movement", "platon", "grain"})
"""The scores that are computed from the gradients of the training."""

FEW_BITS = ("int4", "int3", "int2", "int1")
"""Types of values for which a student is trained."""

ANY = 1.0
"""A ratio before the one that is meant is known."""

WHOLE = (
    "`paper`: all position embeddings and the pooler stay whole; `trimmed`: positions up to "
    "`task.max_length`, and the pooler is compressed"
)
FACTORIZER = (
    "the factors have the least error of `svd`: the weights; `whitened`: the layers' outputs; "
    "`fisher`: the weights, each row by the gradients of the labels' loss; `fisher_whitened`: the "
    "outputs, by these gradients"
)
ALLOCATION = (
    "`uniform`: all encoder matrices have the same fraction of rank, the word embeddings one of "
    "their own; `marginal`: ranks of the least summed error of `factorizer` per parameter"
)
WORD_DENSITY = (
    "share of the entries of the word embeddings' factor that is not pruned; the lower, the higher "
    "its rank; 1: it has a rank alone"
)
WORD_WEIGHT = (
    "how much the error of the word embeddings counts in `allocation=marginal`, beside the "
    "encoder's; below 1 they get fewer parameters"
)
SCORE = (
    "pruned first are the smallest `magnitude`s; changes of the `product` of the factors; changes "
    "of the outputs, `activation`; by gradients of the training, `movement` and `platon`; by those "
    "of the predictions' loss alone, `grain`"
)
"""Meanings of keys that have another default in some methods."""

Factorizer: TypeAlias = Literal["svd", "whitened", "fisher", "fisher_whitened"]
Score: TypeAlias = Literal["magnitude", "product", "activation", "movement", "platon", "grain"]


def _methods() -> "dict[str, type[MethodSettings]]":
    from lada.methods.registry import methods  # which imports the settings of all methods

    return dict(methods())


@dataclass(frozen=True)
class Context:
    """What a method is made for, besides its own settings.

    Attributes:
        target: parameters of the teacher over nonzero parameters of the student; None: none.
        seed: of students that begin with random weights.
        pairs: whether the examples are pairs of texts.
        values: how the artifact stores values: int8, fp16, fp32, or one of `FEW_BITS`.
        compile: whether the student is compiled by torch.compile.
        kind: of the task (`lada.heads.kinds.KINDS`).
        head: the same once the data is read: what losses are computed by.
        family: of the teacher (`lada.nn.families.FAMILIES`).
        length: most tokens of an example; None: not known.
        tokens: how many the student has, if they are fewer than the teacher's; None: as many.
        statistics: what the layers of the teacher see of examples; None: not known yet.
        mb: megabytes of the file, if the target is given so; ``target`` is then `ANY` until the
            model is known.
        spectra: of the teacher's matrices (`lada.ops.allocate`); None: not known yet.
    """

    target: float | None
    ratios: RatiosConfig = field(default_factory=RatiosConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    distill: DistillConfig = field(default_factory=DistillConfig)
    seed: int = 0
    pairs: bool = False
    values: str = "int8"
    compile: bool = False
    kind: str = "single_label"
    head: "Head | None" = None
    family: str = "bert"
    length: int | None = None
    tokens: int | None = None
    statistics: "Statistics | None" = None
    mb: float | None = None
    spectra: "Spectra | None" = None

    @property
    def maps(self) -> bool:
        """Whether the teacher's attention maps can be had."""
        return FAMILIES[self.family].maps

    @property
    def distilled(self) -> DistillConfig:
        """The weights of the distillation terms; that of attention maps is 0 without maps."""
        return self.distill if self.maps else replace(self.distill, attention=0.0)

    @property
    def losses(self) -> "Head":
        """What losses are computed by; without data, by the kind alone."""
        from lada.heads import head_named

        return self.head or head_named(self.kind)

    @property
    def required_target(self) -> float:
        """The target of a method that has to have one; `MethodSettings.check` sees to it."""
        assert self.target is not None
        return self.target


@settings("method")
class MethodSettings:
    """What every method says of itself. A method is a subclass, see `register_method`.

    Attributes:
        name: that it is registered by.
        size: what decides the student's size. ``target``: it must be given; ``form``: the settings,
            and with a target the word embeddings are compressed further; ``own``: no target is
            possible.
        reads: the groups among ``ratios`` and ``distill`` that it reads.
        trained: whether it trains at all.
        softens: whether it softens logits by a temperature.
        labels: whether it learns from labels alone.
        kinds: of tasks that it is made for; empty: all that have what it learns from.
        needs_run: why `lada.prepare` rejects it, if it does.
        few_bits: whether all matrices of its students are compressed, and so may have few bits.
    """

    name: ClassVar[str] = ""
    size: ClassVar[Literal["target", "form", "own"]] = "target"
    reads: ClassVar[tuple[str, ...]] = ()
    trained: ClassVar[bool] = True
    softens: ClassVar[bool] = False
    labels: ClassVar[bool] = False
    kinds: ClassVar[tuple[str, ...]] = ()
    needs_run: ClassVar[str | None] = None
    few_bits: ClassVar[bool] = False

    @classmethod
    def not_served(cls, kind: str) -> str | None:
        """Why the method does not serve a kind of task; None if it does."""
        if cls.kinds and kind not in cls.kinds:
            return f"is for {' and '.join(KINDS[name].what for name in cls.kinds)}"
        if cls.softens and not KINDS[kind].logits:
            return f"softens logits, and {KINDS[kind].what} is none"
        if cls.labels and not KINDS[kind].labelled:
            return f"learns from labels, and {KINDS[kind].what} has none"
        return None

    @property
    def needs_statistics(self) -> bool:
        """Whether it uses what the layers of the teacher see of examples."""
        return False

    @property
    def needs_gradients(self) -> bool:
        """Whether gradients of the labels' loss are among them."""
        return False

    @property
    def needs_spectra(self) -> bool:
        """Whether its plan uses the spectra of the teacher's matrices."""
        return False

    @property
    def stages(self) -> tuple[float, ...]:
        """Shares of the training after which a further stage begins, ascending.

        The learning rate of each stage warms up and decays by itself.
        """
        return ()

    @property
    def trims_tokens(self) -> bool:
        """Whether its students have the tokens of the training texts alone."""
        return False

    def check(self, context: Context) -> None:
        """See that the settings fit what the method is made for.

        Raises:
            LadaError: they do not.
        """
        if (reason := self.not_served(context.kind)) is not None:
            fit = [name for name, known in sorted(_methods().items())
                   if known.not_served(context.kind) is None]  # fmt: skip
            raise LadaError(
                f"method={self.name}: {reason}; task.kind is {context.kind}. Choose one of "
                f"{', '.join(fit)}."
            )
        if (reason := serves(self.name, context.family)) is not None:
            fit = [name for name in sorted(_methods()) if serves(name, context.family) is None]
            raise LadaError(
                f"method={self.name}: {reason}; the model is of family {context.family}. Choose "
                f"one of {', '.join(fit)}."
            )
        if context.values in FEW_BITS and not self.few_bits:
            fit = [name for name, known in sorted(_methods().items()) if known.few_bits]
            raise LadaError(
                f"artifact.values={context.values}: method={self.name} trains matrices that are "
                f"not stored in few bits. Give artifact=int8, or one of method={', '.join(fit)}."
            )
        kind = KINDS[context.kind]
        if "distill" in self.reads and context.distill.labels and not kind.labelled:
            raise LadaError(
                f"distill.labels={context.distill.labels:g}: task.kind={context.kind} has no "
                "labels. Leave it out."
            )
        key, size = ("mb", context.mb) if context.mb else ("ratio", context.target)
        if self.size == "own" and size is not None:
            raise LadaError(
                f"target.{key}={shown(size)}: method={self.name} has a size of its own, "
                "which no target changes. Give target=none."
            )
        if self.size == "target" and size is None:
            raise LadaError(
                f"target=none: method={self.name} has no size of its own. Give target=7.5x, "
                "..., or target=bytes target.mb=3."
            )
        if "ratios" not in self.reads and context.ratios.rule != "solved":
            raise LadaError(
                f"ratios={context.ratios.rule}: method={self.name} has no rank and pruning to "
                "split the budget over. Leave ratios out."
            )

    def unused(self, context: Context) -> dict[str, str]:
        """Keys, or groups, that a run with these settings does not use, and why."""
        if self.size == "own":
            return {"schedule": f"method={self.name} compresses nothing in rounds"}
        return {}

    def make(self, context: Context) -> "Method":
        """The method; torch and what is built on it are imported here.

        Raises:
            LadaError: the settings do not fit each other.
        """
        raise NotImplementedError  # MethodSettings and what methods share are no methods


@settings("method")
class ExamplesSettings(MethodSettings):
    """A method that may look at training examples."""

    examples: int = setting(
        1024,
        "training examples that `factorizer` and `score` look at, if they do",
        least=1,
        most=10**6,
        why="a pass over more takes long",
        later=True,
    )


@settings("method")
class EveryMatrixSettings(MethodSettings):
    """A method that compresses every matrix."""

    few_bits: ClassVar[bool] = True

    whole: Literal["paper", "trimmed"] = setting("paper", WHOLE, later=True)
    vocabulary: Literal["keep", "trim"] = setting(
        "keep",
        "`keep`: all tokens; `trim`: those of the training texts and of `task.unlabeled_file`, and "
        "what the tokenizer needs to read other texts by smaller pieces",
        later=True,
    )

    @property
    def trims_tokens(self) -> bool:
        return self.vocabulary == "trim"

    def check(self, context: Context) -> None:
        super().check(context)
        if self.whole == "trimmed" and context.length is None:
            raise LadaError(
                "method.whole=trimmed: cuts position embeddings to the length of examples, which "
                "is not known. Give lada.prepare(max_length=...)."
            )

    def parts(self, context: Context) -> "Parts":
        """How matrices are factorized and pruned."""
        from lada.methods.parts import Parts

        chosen = {k: getattr(self, k) for k in ("factorizer", "score") if hasattr(self, k)}
        length = context.length if self.whole == "trimmed" else None
        return Parts(
            **chosen,
            statistics=context.statistics,
            length=length,
            tokens=context.tokens,
            spectra=context.spectra,
        )


@settings("method")
class PartsSettings(EveryMatrixSettings, ExamplesSettings):
    """A method that compresses every matrix, by parts that may look at training examples."""

    @property
    def needs_statistics(self) -> bool:
        chosen = (getattr(self, key, None) for key in ("factorizer", "score"))
        return any(value in NEED_EXAMPLES for value in chosen)

    def unused(self, context: Context) -> dict[str, str]:
        found = super().unused(context)
        if not self.needs_statistics:
            found["method.examples"] = "the other settings of the method look at no examples"
        return found


@settings("method")
class RankSettings(PartsSettings):
    """A method that lowers ranks."""

    lower_rank: Literal["truncate", "refactorize"] = setting(
        "truncate", "`truncate`: drop rank directions; `refactorize`: a new SVD"
    )
    factorizer: Factorizer = setting("svd", FACTORIZER, later=True)
    allocation: Literal["uniform", "marginal"] = setting("uniform", ALLOCATION, later=True)

    @property
    def needs_gradients(self) -> bool:
        return self.factorizer in NEED_LABELS

    @property
    def needs_spectra(self) -> bool:
        return self.allocation == "marginal"

    def check(self, context: Context) -> None:
        super().check(context)
        if self.needs_gradients and not KINDS[context.kind].labelled:
            raise LadaError(
                f"method.factorizer={self.factorizer}: uses gradients of the labels' loss, and "
                f"task.kind={context.kind} has no labels. Give method.factorizer=whitened."
            )
        if self.needs_spectra and context.ratios.rule in ("paper", "random", "point", "custom"):
            raise LadaError(
                f"ratios={context.ratios.rule}: gives the word embeddings and the ranks ratios "
                "that method.allocation=marginal chooses. Leave ratios out, or give "
                "method.allocation=uniform."
            )


@settings("method")
class ThresholdSettings(PartsSettings):
    """A method that prunes entries."""

    threshold: Literal["factor", "global", "proportional"] = setting(
        "factor",
        "`factor`: each matrix keeps its share; `global`: one threshold for all; `proportional`: "
        "densities in proportion to the matrices' mean scores",
    )
    score: Score = setting("magnitude", SCORE, later=True)

    def check(self, context: Context) -> None:
        super().check(context)
        s = context.schedule
        if self.score in NEED_GRADIENTS and (s.rounds, s.every, s.delta) == (1, "auto", None):
            raise LadaError(
                f"method.score={self.score}: is by gradients, and schedule.rounds=1 prunes before "
                "the first. Give more rounds, or method.score=product."
            )


@settings("method")
class FactorSettings(ThresholdSettings, RankSettings):
    """A method that does both; the matrices that are pruned are the factors."""

    word_density: float = setting(1.0, WORD_DENSITY, least=0.01, most=1.0, later=True)
    word_weight: float = setting(1.0, WORD_WEIGHT, least=0.001, most=1000.0, later=True)

    @consistent("score", "lower_rank")
    def _gradients_are_of_these_factors(self) -> None:
        if self.score in NEED_GRADIENTS and self.lower_rank == "refactorize":
            raise LadaError(
                f"method.score={self.score}: is by gradients of factors that "
                "method.lower_rank=refactorize replaces. Give method.lower_rank=truncate, or "
                "another method.score."
            )

    def unused(self, context: Context) -> dict[str, str]:
        found = super().unused(context)
        if self.allocation == "uniform":
            found["method.word_weight"] = "method.allocation=uniform compares no errors"
        return found

    def structure(self, context: Context) -> "Structure":
        """The factors of every matrix, with masks."""
        from lada.methods.structures import Factorized, Words

        return Factorized(
            context.required_target,
            context.ratios,
            context.schedule,
            lower_rank=self.lower_rank,
            threshold=self.threshold,
            words=Words(self.word_density, self.word_weight),
            parts=self.parts(context),
        )
