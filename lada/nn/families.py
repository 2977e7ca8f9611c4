"""The families of encoders that can be compressed: one table, a row each.

A row says where the parts of transformers' model are; everything else is read from the model. The
recipe for a row of one's own is in docs/recipes.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lada.errors import LadaError

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedConfig


POSITIONS, POOLER = "position embeddings", "pooler"
"""Names in tables of what can be made smaller, too (`lada.nn.trim`)."""

EMBEDDINGS = {
    "embeddings.position_embeddings": POSITIONS,
    "embeddings.token_type_embeddings": "type embeddings",
}
"""What most families have beside the word embeddings, by path in the encoder."""


@dataclass(frozen=True)
class Family:
    """Where the parts of a family's models are.

    Attributes:
        model_type: of its config.json.
        encoder: the attribute of a model with a head that holds the encoder.
        layers: path of the list of layers in the encoder. A family that applies one layer again and
            again has it there once.
        words: path of the word embeddings in the encoder.
        whole: paths in the encoder of what stays dense, by prefix, and their names in tables. All
            Linear layers of the encoder that are not among them are compressed. What is outside the
            encoder is the head, and stays dense.
        up, down: paths in a layer of the two matrices of the feed-forward block with nothing but
            the activation between them; "" where it is another block.
        attention: paths in a layer of the matrices of queries, keys, values and of the attention's
            output; () where queries, keys and values are one matrix.
        inner: the config's name for the units of the feed-forward block.
        offset: positions of the position embeddings that no token gets (RoBERTa counts from its
            padding id + 1).
        types: whether the model takes ``token_type_ids``.
        maps: whether attention maps can be had: it uses transformers' AttentionInterface.
        shared: whether one layer is applied again and again.
        norm: path in the encoder of the norm after its last layer; "" where every layer ends in a
            norm of its own.
        pretraining: prefixes of tensors of pretrained checkpoints that no model here uses.
    """

    model_type: str
    encoder: str
    layers: str = "encoder.layer"
    words: str = "embeddings.word_embeddings"
    whole: Mapping[str, str] = field(default_factory=lambda: {**EMBEDDINGS, "pooler": POOLER})
    up: str = "intermediate.dense"
    down: str = "output.dense"
    attention: tuple[str, ...] = (
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
    )
    inner: str = "intermediate_size"
    offset: int = 0
    types: bool = True
    maps: bool = True
    shared: bool = False
    norm: str = ""
    pretraining: tuple[str, ...] = ("cls.", "lm_head.")

    @property
    def minialbert(self) -> bool:
        """Whether one layer with adapters can stand in the place of all (`lada.nn.minialbert`).

        For that it needs several layers, each of which ends in a norm.

        Example:
            >>> [name for name, row in FAMILIES.items() if not row.minialbert]
            ['modernbert', 'albert']
        """
        return not self.shared and not self.norm


def _attention(*parts: str) -> tuple[str, ...]:
    return tuple(f"attention.{part}" for part in parts)


def _roberta(model_type: str) -> Family:
    return Family(model_type, "roberta", offset=2)


FAMILIES: dict[str, Family] = {
    row.model_type: row
    for row in (
        Family("bert", "bert"),
        _roberta("roberta"),
        _roberta("xlm-roberta"),
        _roberta("camembert"),
        Family(
            "distilbert",
            "distilbert",
            layers="transformer.layer",
            up="ffn.lin1",
            down="ffn.lin2",
            attention=_attention("q_lin", "k_lin", "v_lin", "out_lin"),
            inner="hidden_dim",
            types=False,
            pretraining=("vocab_",),
        ),
        Family("electra", "electra", pretraining=("discriminator_predictions.", "generator_")),
        Family(
            "ernie",
            "ernie",
            whole={
                **EMBEDDINGS,
                "embeddings.task_type_embeddings": "type embeddings",
                "pooler": POOLER,
            },
        ),
        Family(
            "modernbert",
            "model",
            layers="layers",
            words="embeddings.tok_embeddings",
            up="",
            down="",
            attention=(),
            types=False,
            norm="final_norm",
            pretraining=("head.", "decoder."),
        ),
        Family(
            "mpnet",
            "mpnet",
            attention=_attention("attn.q", "attn.k", "attn.v", "attn.o"),
            whole={
                "embeddings.position_embeddings": POSITIONS,
                "encoder.relative_attention_bias": "relative positions",
                "pooler": POOLER,
            },
            offset=2,
            types=False,
            maps=False,
            pretraining=("lm_head.",),
        ),
        Family(
            "deberta-v2",
            "deberta",
            attention=_attention(
                "self.query_proj", "self.key_proj", "self.value_proj", "output.dense"
            ),
            whole={
                **EMBEDDINGS,
                "encoder.rel_embeddings": "relative positions",
                "encoder.conv": "convolution",
            },
            maps=False,
            pretraining=("lm_predictions.", "mask_predictions.", "cls."),
        ),
        Family(
            "albert",
            "albert",
            layers="encoder.albert_layer_groups",
            up="ffn",
            down="ffn_output",
            attention=_attention("query", "key", "value", "dense"),
            shared=True,
            pretraining=("predictions.", "sop_classifier."),
        ),
    )
}


def family_named(model_type: Any, where: str) -> Family:
    """The row of a model_type.

    Args:
        where: the beginning of the message.

    Raises:
        LadaError: there is none.
    """
    if model_type not in FAMILIES:
        raise LadaError(
            f"{where}: model_type {model_type} is not supported. Give one of "
            f"{', '.join(FAMILIES)}, or add a family (docs/recipes.md)."
        )
    return FAMILIES[model_type]


def family_of(config: "PreTrainedConfig") -> Family:
    """The row of a config, also of a compressed model's, which names its family as ``family``.

    Compressed models of before the families do not: they are BERTs.
    """
    known = "bert" if config.model_type.startswith("lada-") else config.model_type
    return family_named(getattr(config, "family", known), "model")


def usable_positions(config: "PreTrainedConfig") -> int:
    """The number of tokens that a model of this config can read."""
    return int(config.max_position_embeddings) - family_of(config).offset


def encoder_prefix(model: "nn.Module") -> str:
    """What the names of the encoder's parts begin with: "bert."; "" for an encoder alone."""
    row = family_of(model.config)  # type: ignore[arg-type]
    return f"{row.encoder}." if hasattr(model, row.encoder) else ""


def encoder_of(model: "nn.Module") -> Any:
    """The encoder of a model with a head; the model itself, if it is an encoder alone."""
    return getattr(model, family_of(model.config).encoder, model)  # type: ignore[arg-type]


def word_embeddings(model: "nn.Module") -> str:
    """The name of the word embeddings in a model: "bert.embeddings.word_embeddings"."""
    row = family_of(model.config)  # type: ignore[arg-type]
    return encoder_prefix(model) + row.words


def layers_of(model: "nn.Module") -> str:
    """The name of the list of layers in a model: "bert.encoder.layer"."""
    row = family_of(model.config)  # type: ignore[arg-type]
    return encoder_prefix(model) + row.layers


def keep_layers_(config: "PreTrainedConfig", kept: Sequence[int]) -> None:
    """Make a config that of a model with these layers of its model, by number, in place.

    Numbers beyond its layers are those of a longer model of the same pattern.
    """
    types = getattr(config, "layer_types", None)
    config.num_hidden_layers = len(kept)
    if types is not None:
        config.layer_types = [types[number % len(types)] for number in kept]
