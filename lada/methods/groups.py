"""The groups that several methods read: ratios, schedule, distillation.

Nothing here imports torch: settings are checked before anything is loaded.
"""

import math
import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from lada.errors import LadaError
from lada.limits import FLOAT32, ROUNDS
from lada.ops.schedule import round_steps
from lada.schema import consistent, setting, settings
from lada.values import shown

_FLOAT32 = "the largest number in fp32"
_NUMBERED = "points are numbered up to there"
_REMOVABLE = "no matrix of this kind has so many parameters to remove"
HEAT = "it leaves no difference between classes"


def _interval(value: Any) -> Any:
    """``schedule.every`` as text; it may be given as a number of steps."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value in ("auto", "epoch") or (
        isinstance(value, str) and re.fullmatch("0*[1-9][0-9]{0,7}|0*100000000", value)
    ):
        return value
    text = "choose auto, epoch or a number of steps, a whole number of at most 100,000,000."
    raise PydanticCustomError("interval", text)


Interval = Annotated[str, BeforeValidator(_interval)]
"""``auto``, ``epoch`` or a number of steps."""


@settings("ratios")
class RatiosConfig:
    """How the target is split over word embeddings, rank and pruning.

    Ratios are those of the paper's Table 2: x2.0 keeps half.
    """

    rule: Literal["solved", "scaled", "fast", "paper", "random", "point", "custom"] = setting(
        "solved",
        "`solved`: by the sizes of the parts; `scaled`: the same, with ranks in proportion to the "
        "size, so that the same share of the entries is pruned at any size (`pruning`, 2.5 if "
        "null); `fast`: all of the encoder's budget on rank; "
        "`paper`: Table 2; `random`: a random point of all that meet the target; `point`: the one "
        "at `encoder` and `by_rank`; `custom`: as given here",
    )
    embedding: float | None = setting(
        None, "of the word embeddings", least=1.0, most=10**6, why=_REMOVABLE
    )
    svd: float | None = setting(
        None, "of the encoder's matrices, by rank", least=1.0, most=10**6, why=_REMOVABLE
    )
    pruning: float | None = setting(
        None, "of the entries of the factors", least=1.0, most=10**6, why=_REMOVABLE
    )
    draw: int | None = setting(
        None, "the number of the random point", least=0, most=2**31 - 1, why=_NUMBERED, later=True
    )
    encoder: float | None = setting(
        None,
        "from 0, as little of the budget for the encoder as possible, to 1, as much",
        least=0.0,
        most=1.0,
        later=True,
    )
    by_rank: float | None = setting(
        None,
        "how much of the encoder's compression is by rank: 0, all by pruning, to 1, none; the "
        "logarithm of the ratio counts",
        least=0.0,
        most=1.0,
        later=True,
    )
    round_to: int = setting(
        1,
        "the last ranks of encoder matrices are multiples of this, as far as the budget allows",
        least=1,
        most=256,
    )

    @consistent("rule", "encoder", "by_rank")
    def _given_point(self) -> None:
        both = {"encoder": self.encoder, "by_rank": self.by_rank}
        for name, value in both.items():
            if (self.rule == "point") != (value is not None):
                raise LadaError(
                    f"ratios.{name}={shown(value)}: goes with ratios=point, which needs it, and "
                    f"this is ratios={self.rule}. Give ratios=point with ratios.encoder and "
                    "ratios.by_rank, or neither."
                )

    @consistent("rule", "embedding", "svd", "pruning", "draw")
    def _given_ratios(self) -> None:
        given = [x for x in (self.embedding, self.svd, self.pruning) if x is not None]
        if self.rule == "scaled" and given and given != [self.pruning]:
            raise LadaError(
                "ratios=scaled: takes ratios.pruning alone. Use ratios=custom to give others."
            )
        if self.rule not in ("custom", "scaled") and given:
            raise LadaError(
                f"ratios={self.rule}: takes no ratios of its own. Use ratios=custom to give them."
            )
        if (self.rule == "random") != (self.draw is not None):
            raise LadaError(
                f"ratios.draw={shown(self.draw)}: goes with ratios=random, which needs it, and "
                f"this is ratios={self.rule}. Give ratios=random ratios.draw=0, or neither."
            )
        if self.rule == "custom" and len(given) < 2:
            raise LadaError(
                "ratios=custom: needs two of ratios.embedding, ratios.svd, ratios.pruning (the "
                "third is solved) or all three. Give them, or use ratios=solved."
            )


@settings("schedule")
class ScheduleConfig:
    """When the rounds fall, and how fast the ratio goes to the target."""

    shape: Literal["geometric", "linear", "cubic"] = setting(
        "geometric", "how the kept fraction falls from round to round"
    )
    every: Interval = setting(
        "auto", "`auto`: `rounds` rounds at equal distances; `epoch`; or a number of steps"
    )
    rounds: int = setting(
        8, "rounds, with `every=auto`", least=1, most=ROUNDS, why="a plan lists every matrix"
    )
    delta: float | None = setting(
        None,
        "fraction that a round keeps (the paper's Delta); sets the number of rounds",
        over=0.0,
        most=0.999,
    )
    recovery: float = setting(
        0.5, "fraction of the training after the last round", least=0.0, most=0.95
    )

    start: Literal["compressed", "full"] = setting(
        "compressed",
        "the first round: `compressed`, a step to the target; `full`, all ranks and entries, and "
        "the next round is the first step",
        later=True,
    )

    @consistent("start", "rounds", "every", "delta")
    def _one_round_meets_the_target(self) -> None:
        if self.every == "auto" and self.delta is None:
            self._check_start(self.rounds)

    def _check_start(self, rounds: int) -> None:
        if self.start == "full" and rounds == 1:
            raise LadaError(
                "schedule.start=full: the only round has to meet the target. Give "
                "schedule.rounds=2 or more (with schedule.every, more steps), or leave it out."
            )

    @consistent("delta", "shape", "every")
    def _delta_is_geometric(self) -> None:
        if self.delta is not None and (self.shape != "geometric" or self.every != "auto"):
            raise LadaError(
                f"schedule.delta={self.delta:g}: goes with schedule.shape=geometric and "
                "schedule.every=auto only. Leave it out, or set these."
            )

    def rounds_at(self, target: float | None, steps: int, *, epoch: int | None = None) -> list[int]:
        """The optimizer steps before which the rounds of a training fall.

        Args:
            target: times smaller, at the last round; None: none.
            steps: of the training.
            epoch: steps of an epoch; None: not known.

        Raises:
            LadaError: there are too many rounds, they do not fit into the steps, or one round is
                to be both the start in full and the target.

        Example:
            >>> ScheduleConfig(rounds=3).rounds_at(7.5, 100)
            [0, 25, 50]
        """
        every = rounds = None
        if self.every == "epoch":
            if epoch is None:
                raise LadaError(
                    "schedule.every=epoch: the number of examples is not known here. Give a number "
                    "of steps."
                )
            every = epoch
        elif self.every != "auto":
            every = int(self.every)
        elif self.delta is not None and target is not None:
            rounds = math.ceil(math.log(target) / -math.log(self.delta))
            rounds += self.start == "full"  # which keeps all
        else:
            rounds = self.rounds
        count = rounds if every is None else steps / every
        if count is not None and count > ROUNDS:
            raise LadaError(
                f"schedule: makes {count:,.0f} rounds, and a plan lists every matrix at every "
                f"round. Give a schedule.every or schedule.delta that makes at most {ROUNDS:,}."
            )
        try:
            found = round_steps(steps, self.recovery, rounds=rounds, every=every)
        except ValueError as error:
            raise LadaError(
                f"schedule: {error}. Train for more steps (optim.steps or optim.epochs), or in "
                "fewer rounds (schedule.rounds)."
            ) from None
        self._check_start(len(found))
        return found


@settings("distill")
class DistillConfig:
    """Weights of the four distillation terms, and how they are taken."""

    embedding: float = setting(
        1.0, "weight of the embedding output", least=0.0, most=FLOAT32, why=_FLOAT32
    )
    attention: float = setting(
        1.0,
        "weight of the attention maps, or what `maps` has in their place",
        least=0.0,
        most=FLOAT32,
        why=_FLOAT32,
    )
    hidden: float = setting(
        1.0, "weight of the hidden states", least=0.0, most=FLOAT32, why=_FLOAT32
    )
    prediction: float = setting(
        1.0, "weight of the predictions", least=0.0, most=FLOAT32, why=_FLOAT32
    )
    labels: float = setting(
        0.0,
        "weight of the labels' own loss, a mean over all examples; texts without labels add 0",
        least=0.0,
        most=FLOAT32,
        why=_FLOAT32,
        later=True,
    )
    states: Literal["plain", "relative"] = setting(
        "plain",
        "squared errors of embedding output and hidden states as they are; `relative`: each "
        "token's in units of the teacher's mean square",
        later=True,
    )
    maps: Literal["scores", "probabilities", "values"] = setting(
        "scores",
        "attention maps before the softmax, or after it; `values`: in their place how alike the "
        "values of two tokens are, in the last layer",
    )
    temperature: float = setting(
        1.0, "divides the student's logits, as Eq. 9 prints it", over=0.0, most=10_000, why=HEAT
    )

    balance: Literal["fixed", "gradients"] = setting(
        "fixed",
        "weights as they are; `gradients`: in units of the gradient of the predictions, measured "
        "at every round and every 100 steps",
        later=True,
    )

    @consistent("balance", "embedding", "attention", "hidden", "labels")
    def _there_is_something_to_balance(self) -> None:
        others = self.embedding, self.attention, self.hidden, self.labels
        if self.balance == "gradients" and not any(others):
            raise LadaError(
                "distill.balance=gradients: the predictions are the only term. Leave it out, or "
                "give another term a weight."
            )

    @consistent("prediction")
    def _predictions_count(self) -> None:
        if self.prediction == 0.0:
            raise LadaError(
                "distill.prediction=0: the classifier would learn nothing. Give it a weight."
            )
