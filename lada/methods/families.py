"""Which methods serve which families of encoders, and what a family leaves out. Needs no torch."""

from lada.nn.families import FAMILIES

ONE_LAYER = "keeps some layers of its teacher, and ALBERT applies a single one again and again"
AS_BERT = "is built of the modules of BERT itself"

REASONS: dict[str, dict[str, str]] = {
    "minialbert": {name: AS_BERT for name in FAMILIES if name != "bert"},
    **{name: {"albert": ONE_LAYER} for name in ("finetune", "kd", "pkd", "layerdrop")},
}
"""By method: the families that it does not serve, and why. All others it does."""

NO_MAPS = "attention maps: transformers' {family} does not give them"


def serves(method: str, family: str) -> str | None:
    """Why a method does not serve a family; None if it does.

    Example:
        >>> from lada.methods.families import serves
        >>> serves("minialbert", "bert")
        >>> serves("minialbert", "mpnet")
        'is built of the modules of BERT itself'
    """
    return REASONS.get(method, {}).get(family)


def terms_left_out(maps: str | None, family: str) -> tuple[str, ...]:
    """What the loss lacks with a family, a sentence each.

    Args:
        maps: what the loss takes of BERT's attention (`lada.methods.base.Objective.maps`).
    """
    if maps is None or FAMILIES[family].maps:
        return ()
    return (NO_MAPS.format(family=family),)
