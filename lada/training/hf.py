"""Compression in the Trainer of Hugging Face transformers."""

from typing import Any

from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState

from lada.compression import Compression
from lada.errors import LadaError


class CompressionTrainerCallback(TrainerCallback, ExportableState):
    """Compresses the Trainer's model in rounds; resumes with the Trainer's own checkpoints.

    The state of the compression is saved in each checkpoint's ``trainer_state.json``, and
    ``trainer.train(resume_from_checkpoint=...)`` restores it with the weights.

    Example:
        >>> import lada, torch
        >>> from transformers import Trainer, TrainingArguments
        >>> from transformers import BertConfig, BertForSequenceClassification
        >>> classifier = BertForSequenceClassification(BertConfig(
        ...     vocab_size=2000, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        ...     intermediate_size=64, max_position_embeddings=32))
        >>> compression = lada.prepare(classifier, target=4, steps=16)
        >>> ids = torch.randint(2000, (12,))
        >>> example = {"input_ids": ids, "attention_mask": ids * 0 + 1, "labels": torch.tensor(1)}
        >>> trainer = Trainer(
        ...     compression.model,
        ...     TrainingArguments(
        ...         "out", max_steps=16, report_to=[], disable_tqdm=True, use_cpu=True),
        ...     train_dataset=[example] * 64,
        ...     callbacks=[lada.CompressionTrainerCallback(compression)])
        >>> trainer.train().global_step
        {'train_runtime': ...}
        16
        >>> compression.finished
        True
    """

    def __init__(self, compression: Compression):
        self.compression = compression

    def on_init_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if args.restore_callback_states_from_checkpoint:
            raise LadaError(
                "restore_callback_states_from_checkpoint=True: it creates new callbacks, which "
                "have no student. Set it to False: the state of the compression is restored "
                "without it."
            )

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        saved = (state.stateful_callbacks or {}).get(type(self).__name__)
        if state.global_step > 0 and saved is not None:
            self.compression.load_state_dict(saved["attributes"]["compression"])

    def on_step_begin(
        self, args: Any, state: Any, control: Any, optimizer: Any = None, **kwargs: Any
    ) -> None:
        self.compression.before_step(state.global_step, optimizer)

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.compression.after_backward()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.compression.check()

    def state(self) -> dict[str, Any]:
        """What the Trainer saves for this callback."""
        return {"args": {}, "attributes": {"compression": self.compression.state_dict()}}
