"""Keys of methods whose students are small by their form: fewer layers, or another shape.

Nothing here imports torch: settings are checked before anything is loaded.
"""

from typing import TYPE_CHECKING, ClassVar, Literal

from lada.errors import LadaError
from lada.methods.families import NARROWED
from lada.methods.groups import HEAT
from lada.methods.settings import Context, MethodSettings
from lada.schema import Text, consistent, setting, settings
from lada.values import shown

if TYPE_CHECKING:
    from lada.methods.base import Structure

DEEP = "no encoder is deeper"
_WIDE = "no encoder is wider"


@settings("method")
class FormSettings(MethodSettings):
    """A method whose students are small by their form."""

    size: ClassVar[Literal["target", "form", "own"]] = "form"

    embedding: Literal["keep", "svd", "prune"] = setting(
        "svd", "how the word embeddings meet the target; `keep`: they do not"
    )

    def unused(self, context: Context) -> dict[str, str]:
        if context.target is None:
            return {
                "method.embedding": "target=none leaves the word embeddings as they are",
                "schedule": "target=none compresses nothing in rounds",
            }
        if self.embedding == "keep":
            return {"schedule": "method.embedding=keep compresses nothing in rounds"}
        return {}


@settings("method")
class LayersSettings(FormSettings):
    """A method whose students have some layers of the teacher."""

    layers: int | None = setting(
        None, "layers that stay; null: a quarter of the teacher's", least=1, most=256, why=DEEP
    )

    def structure(self, context: Context, which: str = "first") -> "Structure":
        """Some layers of the teacher, see `lada.methods.structures.Shallow`."""
        from lada.methods.structures import Shallow

        return Shallow(self.layers, which, context.target, self.embedding, context.schedule)


@settings("method")
class DistilledSettings(LayersSettings):
    """Such a method that learns from softened predictions and labels."""

    softens: ClassVar[bool] = True

    alpha: float = setting(
        0.7, "weight of the teacher's predictions; the labels have the rest", least=0.0, most=1.0
    )
    temperature: float = setting(
        10.0, "that softens the predictions of both models", over=0.0, most=10_000, why=HEAT
    )


Which = Literal["first", "alternate", "ends", "skip", "top"]
"""Which layers of the teacher stay, see `lada.methods.structures.Shallow`."""

WHICH = (
    "layers that stay: the `first`; spread evenly from the first on, `alternate`; with the first "
    "and the last, `ends`; up to the last, `skip`; or the last, `top`"
)


@settings("method")
class ShapeSettings(FormSettings):
    """A method whose students are a BERT of another shape."""

    layers: int | None = setting(
        4,
        "null: 4, or the nearest number that divides the teacher's",
        least=1,
        most=256,
        why=DEEP,
    )
    width: int | None = setting(
        312,
        "channels of a hidden state; null, with `inner`: solved from the target",
        least=1,
        most=32_768,
        why=_WIDE,
    )
    inner: int | None = setting(
        1200, "units of the feed-forward layers; null with `width` alone", least=1, most=32_768,
        why=_WIDE,
    )  # fmt: skip
    heads: int | None = setting(
        12, "attention heads; null: as many as the teacher has", least=1, most=32_768, why=_WIDE
    )
    path: Text | None = setting(
        None, "folder of a pretrained BERT of that shape; null: as `start` says", reads=True
    )
    start: Literal["random", "teacher"] = setting(
        "random",
        "weights of a student without `path`: `random`, from scratch, or those of the `teacher`, "
        "projected on the principal directions of its states",
        later=True,
    )
    examples: int = setting(
        1024,
        "training examples that `start=teacher` looks at",
        least=1,
        most=10**6,
        why="a pass over more takes long",
        later=True,
    )

    @property
    def needs_statistics(self) -> bool:
        return self.start == "teacher"

    @consistent("start", "path")
    def _one_start(self) -> None:
        if self.start == "teacher" and self.path is not None:
            raise LadaError(
                f"method.start=teacher: method.path={shown(self.path)} has weights of its own. "
                "Give one of the two."
            )

    @consistent("width", "inner", "path")
    def _width_is_solved(self) -> None:
        if (self.width is None) != (self.inner is None):
            one, other = ("width", "inner") if self.width is None else ("inner", "width")
            raise LadaError(
                f"method.{one}=null: goes with method.{other}=null. Give both, or a number."
            )
        if self.width is None and self.path is not None:
            raise LadaError(
                f"method.width=null: method.path={shown(self.path)} has a width of its own. Give "
                "it, and method.inner."
            )

    @consistent("width", "heads")
    def _heads_divide_the_width(self) -> None:
        width, heads = self.width, self.heads
        if width is not None and heads is not None and width % heads:
            fits = ", ".join(str(n) for n in range(1, min(width, 64) + 1) if width % n == 0)
            raise LadaError(
                f"method.heads={heads}: does not divide method.width={width}. Give one that does: "
                f"{fits}."
            )

    def check(self, context: Context) -> None:
        super().check(context)
        if self.width is None and context.target is None:
            raise LadaError(
                "method.width=null: is solved from the target, and there is none. Give "
                "target=7.5x, ... or method.width=312 method.inner=1200."
            )
        if self.start == "teacher" and context.family not in NARROWED:
            raise LadaError(
                f"method.start=teacher: is not made for models of family {context.family}. Give "
                f"method.start=random, or a teacher of {', '.join(NARROWED)}."
            )

    def unused(self, context: Context) -> dict[str, str]:
        found = super().unused(context)
        if not found and self.path is None:
            fixed = "a student from scratch, or from its teacher, has its final size from the start"
            found = {"schedule": fixed}
        if not self.needs_statistics:
            found["method.examples"] = "method.start=random looks at no examples"
        return found
