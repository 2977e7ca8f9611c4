"""The encoder of an artifact, without its classifier, for transformers' ``AutoModel``.

``AutoModel.from_pretrained`` and ``pipeline("feature-extraction")`` return the hidden states that
are the input of the artifact's classifier.
"""

from os import PathLike
from typing import Any

import torch
from transformers import AutoModel, BertModel, PreTrainedModel

from lada.artifact.arguments import NOTHING_AMISS
from lada.artifact.config import (
    LadaBertConfig,
    LadaBiLstmConfig,
    LadaEarlyExitConfig,
    LadaMiniAlbertConfig,
)
from lada.artifact.model import (
    Artifact,
    LadaBertForSequenceClassification,
    LadaEarlyExitForSequenceClassification,
    LadaMiniAlbertForSequenceClassification,
)
from lada.errors import LadaError


class Encoder(BertModel):
    """A BERT encoder whose matrices have the forms of an artifact's config.

    It can be read from an artifact but not written: an artifact is a classifier.
    """

    classifier: type[Artifact]
    """The class of the whole artifact."""

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | PathLike[str] | None,
        *model_args: Any,
        **kwargs: Any,
    ) -> Any:
        """Read the encoder of an artifact, as strictly as `Artifact.from_pretrained`.

        Returns:
            The encoder, in eval mode: ``input_ids``, ``attention_mask``, ``token_type_ids``, each
            (batch, length) int64 -> ``last_hidden_state`` (batch, length, width) and
            ``pooler_output`` (batch, width).

        Raises:
            LadaError: as `Artifact.from_pretrained`.
        """
        kwargs.pop("add_pooling_layer", None)  # an artifact has its pooler
        info = kwargs.pop("output_loading_info", False)
        whole: Any = cls.classifier.from_pretrained(
            pretrained_model_name_or_path, *model_args, **kwargs
        )
        with torch.device("meta"):  # its parts are replaced by those that were read
            encoder = cls(whole.config)
        encoder.embeddings, encoder.encoder = whole.bert.embeddings, whole.bert.encoder
        encoder.pooler = whole.bert.pooler
        encoder.eval()
        return (encoder, dict(NOTHING_AMISS)) if info else encoder

    def save_pretrained(self, *args: Any, **kwargs: Any) -> None:
        """Always an error.

        Raises:
            LadaError: an encoder alone is not an artifact.
        """
        raise LadaError(
            "save_pretrained: an encoder alone cannot be stored. Save the classifier as read by "
            "AutoModelForSequenceClassification, or its state_dict()."
        )


class LadaBertModel(Encoder):
    """That of a `LadaBertForSequenceClassification`."""

    config_class = LadaBertConfig
    classifier = LadaBertForSequenceClassification


class LadaMiniAlbertModel(Encoder):
    """That of a `LadaMiniAlbertForSequenceClassification`."""

    config_class = LadaMiniAlbertConfig
    classifier = LadaMiniAlbertForSequenceClassification


class LadaEarlyExitModel(Encoder):
    """That of a `LadaEarlyExitForSequenceClassification`: all layers, whatever the threshold."""

    config_class = LadaEarlyExitConfig
    classifier = LadaEarlyExitForSequenceClassification


class LadaBiLstmModel(PreTrainedModel):
    """A BiLSTM has one state per text and none per token: it cannot be read as an encoder."""

    config_class = LadaBiLstmConfig

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | PathLike[str] | None, *_: Any, **__: Any
    ) -> Any:
        """Always an error.

        Raises:
            LadaError: a BiLSTM has no encoder.
        """
        raise LadaError(
            f"{pretrained_model_name_or_path}: a lada-bilstm has no encoder. Read it with "
            "AutoModelForSequenceClassification."
        )


for _class in (LadaBertModel, LadaMiniAlbertModel, LadaEarlyExitModel, LadaBiLstmModel):
    AutoModel.register(_class.config_class, _class)
