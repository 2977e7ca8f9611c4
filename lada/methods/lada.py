"""LadaBERT: hybrid compression in rounds, with distillation.

Paper: Mao et al. 2020, "LadaBERT: Lightweight Adaptation of BERT through Hybrid Model
Compression", arXiv 2004.04124v2. Each matrix becomes ``(M_A * A)(M_B * B)^T`` (Eq. 5) of an SVD
(Eq. 1-4), pruned by magnitude; the ratio goes to the target in rounds; between rounds the student
learns from the teacher by four terms (section 3.4).

What the paper leaves open, and what is chosen here:

- A round splits its step between the ratios by powers: each kept fraction P is P^(k/K) at round k.
- SVD at kept fraction 1 already means half the rank of a square matrix, so even the first round
  loses something.
- A lower rank comes by ``method.lower_rank``: dropping trailing rank directions, or a new SVD.
- The word table is factorized and not pruned, as Eq. 7 reads.
- Threshold per factor (``method.threshold=factor``) or over all (``global``).
- Attention term on scores before the softmax, as in TinyBERT's code, or on probabilities.
- Terms over layers are summed (TinyBERT's code), each a mean over real elements; weights 1.

Deviations: AdamW keeps its bias correction (BertAdam has none), since state is cleared in rounds.
"""

import copy

import torch
from torch import Tensor
from transformers import BertForSequenceClassification

from lada.config import DistillConfig, MethodConfig, RatiosConfig, ScheduleConfig
from lada.errors import LadaError
from lada.methods.ratios import fractions_for
from lada.nn.capture import Outputs
from lada.nn.rounds import compress_
from lada.nn.surgery import replace_
from lada.ops.budget import BudgetError, Inventory
from lada.ops.losses import attention_mse, hidden_mse, soft_cross_entropy
from lada.ops.plan import Plan, Round, make_plan


class Lada:
    """See the module's text. Takes the checked config groups that it depends on."""

    def __init__(
        self,
        method: MethodConfig,
        target: float,
        ratios: RatiosConfig,
        schedule: ScheduleConfig,
        distill: DistillConfig,
    ):
        self._method = method
        self._target = target
        self._ratios = ratios
        self._shape = schedule.shape
        self._distill = distill
        self.maps = distill.maps if distill.attention else None
        self.hidden = bool(distill.embedding or distill.hidden)

    def plan(self, inventory: Inventory, rounds: int) -> Plan:
        """See `lada.ops.plan.make_plan`.

        Raises:
            LadaError: the target or the ratios cannot be met.
        """
        r = self._ratios
        fractions = fractions_for(inventory, self._target, r.rule, r.embedding, r.svd, r.pruning)
        try:
            return make_plan(inventory, self._target, fractions, self._shape, rounds, r.round_to)
        except BudgetError as error:
            raise LadaError(f"target.ratio={self._target:g}: {error}") from None

    def build(
        self, teacher: BertForSequenceClassification, plan: Plan | None
    ) -> BertForSequenceClassification:
        """A copy of the teacher with its matrices factorized at the first round's rank."""
        assert plan is not None
        student = copy.deepcopy(teacher).train()
        for p in student.parameters():
            p.requires_grad_(True)
        replace_(student, {s.name: s.rank for s in plan.rounds[0].shares})
        return student

    def compress_(self, student: BertForSequenceClassification, round_: Round) -> set[str]:
        """See `lada.nn.rounds.compress_`."""
        return compress_(
            student,
            round_,
            lower_rank=self._method.lower_rank,
            threshold=self._method.threshold,
        )

    def losses(
        self, student: Outputs, teacher: Outputs, batch: dict[str, Tensor]
    ) -> dict[str, tuple[float, Tensor]]:
        """The four terms (LadaBERT section 3.4); a term of weight 0 is left out."""
        d, mask = self._distill, batch["attention_mask"]
        rows, tokens, pairs = batch["totals"]
        soft = soft_cross_entropy(student.logits, teacher.logits, d.temperature, rows)
        terms = {"prediction": (d.prediction, soft)}
        if d.embedding:
            first = hidden_mse(student.hidden[0], teacher.hidden[0], mask, tokens)
            terms["embedding"] = (d.embedding, first)
        if d.hidden:
            both = zip(student.hidden[1:], teacher.hidden[1:], strict=True)
            terms["hidden"] = (d.hidden, _sum([hidden_mse(s, t, mask, tokens) for s, t in both]))
        if d.attention:
            both = zip(student.attentions, teacher.attentions, strict=True)
            maps = _sum([attention_mse(s, t, mask, pairs) for s, t in both])
            terms["attention"] = (d.attention, maps)
        return terms


def _sum(terms: list[Tensor]) -> Tensor:
    return torch.stack(terms).sum()
