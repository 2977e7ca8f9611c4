"""GRAIN: single dimensions of heads and feed-forward units are pruned by the predictions' gradient.

Source: Yang, Cui, Yao, Wang 2023, "Gradient-based Intra-attention Pruning on Pre-trained Language
Models" (ACL 2023, arXiv 2212.07634), read in the authors' code, github.com/airaria/GRAIN.

- A unit is one dimension of the queries and keys of a head, one of its values and of the output
  matrix, or one unit of a feed-forward block. Its importance is ``|sum of w dL/dw|``, smoothed over
  the steps; L is the loss of the predictions alone, so that the states that the student imitates
  have no part in what is pruned (gradient separation).
- Importance of values counts the less, the fewer of them a head has (structure regularization), so
  that heads become empty; an empty head loses its queries and keys.
- One threshold decides over all layers. The word embeddings get a low rank before the training.

Different here: the budget of word embeddings and units (`lada.ops.units.make_unit_plan`); units
are pruned in the rounds of ``schedule``, where the code prunes in every step; a head that becomes
empty makes room for other units, so that the target binds; every layer's state is matched, without
a learned map, where the code matches every second one through a map; the temperature is that of
``distill``, where the code divides both models' logits by 8. Biases of pruned units are zero, but
count.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from lada.errors import LadaError
from lada.methods.registry import register_method
from lada.methods.settings import Context, PartsSettings
from lada.schema import setting, settings

if TYPE_CHECKING:
    from lada.methods.base import Method


@register_method("grain")
@settings("method")
class GrainSettings(PartsSettings):
    """Settings of ``method=grain``."""

    reads: ClassVar[tuple[str, ...]] = ("distill",)

    whole: Literal["paper", "trimmed"] = setting(
        "paper",
        "`paper`: all position embeddings stay whole; `trimmed`: those up to `task.max_length`",
    )
    factorizer: Literal["svd", "whitened"] = setting(
        "svd",
        "the word embeddings have the least error of `svd`: their weights; `whitened`: weighed by "
        "how often tokens occur",
    )
    alpha: float = setting(
        0.3,
        "the share of its dimensions below which a head's count less, so that it becomes empty; 0: "
        "they count alike",
        least=0.0,
        most=100.0,
    )

    def check(self, context: Context) -> None:
        super().check(context)
        s = context.schedule
        if (s.rounds, s.every, s.delta) == (1, "auto", None):
            raise LadaError(
                f"method={self.name}: is by gradients, and schedule.rounds=1 prunes before the "
                "first. Give more rounds."
            )

    def unused(self, context: Context) -> dict[str, str]:
        found = super().unused(context)
        found["schedule.start"] = f"method={self.name} prunes nothing before the first gradient"
        maps = f"method={self.name} compares no attention maps"
        return found | {"distill.attention": maps, "distill.maps": maps}

    def make(self, context: Context) -> "Method":
        from lada.methods.base import Combined
        from lada.methods.objectives import FourTerms
        from lada.methods.units import Units

        distill = replace(context.distill, attention=0.0)
        structure = Units(
            context.required_target, context.schedule.shape, self.alpha, self.parts(context)
        )
        return Combined(structure, FourTerms(distill, context.losses))
