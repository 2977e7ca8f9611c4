"""Tiny random models of the real classes, one for each family of encoders."""

from typing import Any

import torch
import transformers
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel

from lada.nn.families import FAMILIES

SIZES: dict[str, Any] = {
    "vocab_size": 60,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 48,
}
"""By the names that transformers' ``attribute_map`` knows."""

OWN: dict[str, dict[str, Any]] = {
    "distilbert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32},
    "electra": {"embedding_size": 8},
    "albert": {"embedding_size": 8},
    "modernbert": {
        "local_attention": 8,
        "global_attn_every_n_layers": 2,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "cls_token_id": 1,
        "eos_token_id": 2,
        "sep_token_id": 2,
    },
    "deberta-v2": {
        "relative_attention": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_buckets": 8,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "position_biased_input": False,
        "type_vocab_size": 0,
    },
}
"""What a family's published models have, and its names for sizes that have others."""


SETTINGS: dict[str, dict[str, Any]] = {
    "tinybert": {"layers": 2, "width": 8, "inner": 16, "heads": 2},
    "bert_small": {"layers": 2, "width": 8, "inner": 16, "heads": 2},
    "pkd": {"layers": 2},
    "bilstm": {"hidden": 4, "inner": 6},
    "minialbert": {"adapter": 4},
}
"""Of methods, for models this small."""


def tiny_config(model_type: str, labels: tuple[str, ...] = (), **sizes: Any) -> PreTrainedConfig:
    """The config of `tiny`."""
    given = {**SIZES, **OWN.get(model_type, {}), **sizes}
    if model_type == "distilbert":
        names = {
            "hidden_size": "dim",
            "num_hidden_layers": "n_layers",
            "num_attention_heads": "n_heads",
            "intermediate_size": "hidden_dim",
        }
        given = {k: v for k, v in given.items() if k not in names}
        given |= {names[k]: v for k, v in sizes.items() if k in names}
    offset = FAMILIES[model_type].offset
    if offset and "max_position_embeddings" not in sizes:
        given["max_position_embeddings"] += offset
    if labels:
        given["id2label"] = dict(enumerate(labels))
        given["label2id"] = {name: i for i, name in enumerate(labels)}
    return AutoConfig.for_model(model_type, **given)


def tiny(
    model_type: str,
    auto: str = "AutoModelForSequenceClassification",
    labels: tuple[str, ...] = ("bad", "good"),
    *,
    seed: int = 0,
    **sizes: Any,
) -> PreTrainedModel:
    """A random model of the family's real class, in eval mode.

    Args:
        auto: name of the Auto class of transformers.
        labels: names of the classes; not used by ``AutoModel`` and question answering.
        sizes: of the config, instead of `SIZES`; by the names of most families.
    """
    named = () if auto in ("AutoModel", "AutoModelForQuestionAnswering") else labels
    config = tiny_config(model_type, named, **sizes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = getattr(transformers, auto).from_config(config)
    return model.eval()


def batch(model: PreTrainedModel, rows: int = 3, length: int = 7) -> dict[str, torch.Tensor]:
    """Token ids, mask and types of ``rows`` rows, the last of which has padding."""
    draw = torch.Generator().manual_seed(7)
    ids = torch.randint(5, model.config.vocab_size, (rows, length), generator=draw)
    mask = torch.ones_like(ids)
    mask[-1, length // 2 :] = 0
    padding = model.config.pad_token_id or 0
    return {
        "input_ids": torch.where(mask == 1, ids, padding),
        "attention_mask": mask,
        "token_type_ids": torch.zeros_like(ids),
    }
