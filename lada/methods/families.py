"""Which methods serve which families of encoders, and what a family leaves out. Needs no torch."""

from lada.nn.families import FAMILIES

FEWER_LAYERS = (
    "keeps fewer layers than its teacher, and here all layers are one, applied again and again: "
    "fewer applications save no bytes"
)
ONE_LAYER = (
    "puts one layer, applied again and again, in the place of all, and here the teacher has such a "
    "layer already"
)
ONE_MATRIX = (
    "prunes single dimensions of attention heads, and here queries, keys and values are one matrix"
)
NORMS_FIRST = (
    "puts an adapter after the norm that ends each block of a layer, and here blocks begin with "
    "their norm"
)

OF_SHARED: dict[str, str] = dict.fromkeys(
    ("finetune", "kd", "pkd", "layerdrop", "xtc"), FEWER_LAYERS
)
"""By method: why it does not serve families that apply one layer again and again. Others do, but
for minialbert."""

NARROWED = ("bert", "roberta", "xlm-roberta", "camembert", "distilbert", "ernie")
"""Families of which ``method.start=teacher`` can make a narrower model (`lada.nn.narrow`)."""

NO_MAPS = "{what}: transformers' {family} does not give them"


def serves(method: str, family: str) -> str | None:
    """Why a method does not serve a family; None if it does.

    Example:
        >>> from lada.methods.families import serves
        >>> serves("minialbert", "roberta")
        >>> serves("minialbert", "modernbert")[:62]
        'puts an adapter after the norm that ends each block of a layer'
    """
    row = FAMILIES[family]
    if method == "minialbert" and not row.minialbert:
        return ONE_LAYER if row.shared else NORMS_FIRST
    if method == "grain" and not row.attention:
        return ONE_MATRIX
    return OF_SHARED.get(method) if row.shared else None


def terms_left_out(maps: str | None, family: str) -> tuple[str, ...]:
    """What the loss lacks with a family, a sentence each.

    Args:
        maps: what the loss takes of BERT's attention (`lada.methods.base.Objective.maps`).
    """
    if maps is None or FAMILIES[family].maps:
        return ()
    what = "value relations" if maps == "values" else "attention maps"
    return (NO_MAPS.format(what=what, family=family),)
