"""Static Model Pruning: the teacher's weights stay as they are, and which of them remain is learnt.

Jiang et al., "Pruning Pre-trained Language Models Without Fine-Tuning", arXiv 2210.06210; by its
abstract and the authors' code. Every entry of a matrix has a score. The entries with the highest
scores are kept, the gradient of the loss goes straight through the mask to all scores
(`lada.nn.scored`), and the scores are all that is trained: weights, biases, LayerNorm, embeddings
and the classifier are frozen. The matrices of one kind (the queries of all layers) share what they
keep in proportion to the mean of the sigmoids of their scores (SMP-S), or keep the same fraction
each (SMP-L). That mean, over all matrices, is a term of the loss, whose weight rises to 400.

Ours:

- The start is the fine-tuned teacher with its classifier. The source prunes the pretrained model,
  with words of the masked language model's head as its classes.
- The four terms of `lada.methods.lada`. The source has softened predictions and labels, half each.
- The word embeddings are pruned by learnt masks too, at the encoder's density. The source leaves
  them whole, at which a target of x7.5 is out of reach.
- The fraction falls in rounds (``schedule``), in the source a little at every step:
  ``schedule=cubic schedule.start=full`` with many rounds.
- The scores' learning rate is ``rate`` times ``optim.lr``, with its warm-up; the authors have 2e-2
  without one, which the default makes of MiniLM-L6's rate, and ``rate=1000`` of BERT-base's. They
  start as near to zero as decides between equal ones by magnitude: the source has zeros, of which
  any may go first. What a matrix cannot use of its share goes to the others of its kind.
"""

from typing import TYPE_CHECKING, ClassVar, Literal

from lada.limits import FLOAT32
from lada.methods.registry import register_method
from lada.methods.settings import Context, EveryMatrixSettings
from lada.schema import setting, settings

if TYPE_CHECKING:
    from lada.methods.base import Method


@register_method("smp")
@settings("method")
class SmpSettings(EveryMatrixSettings):
    """Settings of ``method=smp``."""

    reads: ClassVar[tuple[str, ...]] = ("distill",)
    needs_run = "trains scores at a learning rate of their own and adds a term of them to the loss"

    shares: Literal["scores", "even"] = setting(
        "scores",
        "matrices of one kind keep what their `scores` ask for, together as many as planned; "
        "`even`: each as many as planned",
    )
    rate: float = setting(
        67.0,
        "learning rate of the scores, in units of `optim.lr`",
        over=0.0,
        most=10**6,
        why="the learning rate would be over 1 for any model",
    )
    regularization: float = setting(
        400.0,
        "weight at the end of the mean of the sigmoids of the scores",
        least=0.0,
        most=FLOAT32,
        why="the largest number in fp32",
    )

    def unused(self, context: Context) -> dict[str, str]:
        found = super().unused(context)
        scores = f"method={self.name} trains scores alone, which have none"
        found["optim.weight_decay"] = scores
        found["optim.eps"] = f"method={self.name} trains scores alone, with an epsilon of 1e-8"
        return found

    def make(self, context: Context) -> "Method":
        from lada.methods.base import Combined
        from lada.methods.objectives import FourTerms
        from lada.methods.students import Static

        structure = Static(self, context.required_target, context.schedule, self.parts(context))
        return Combined(structure, FourTerms(context.distilled, context.losses))
