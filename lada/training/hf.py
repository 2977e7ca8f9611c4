"""Compression in the Trainer of Hugging Face transformers."""

from typing import Any

from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState

from lada.compression import Compression
from lada.errors import LadaError


class CompressionTrainerCallback(TrainerCallback, ExportableState):
    """Compresses the Trainer's model in rounds; resumes with the Trainer's own checkpoints.

    The state of the compression stands in each checkpoint's ``trainer_state.json``, and
    ``trainer.train(resume_from_checkpoint=...)`` brings it back with the weights.

    Example::

        compression = lada.prepare(classifier, target=7.5, steps=1000)
        trainer = Trainer(
            compression.model,
            TrainingArguments("out", max_steps=1000),
            train_dataset=examples,
            callbacks=[CompressionTrainerCallback(compression)],
        )
        trainer.train()
    """

    def __init__(self, compression: Compression):
        self.compression = compression

    def on_init_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if args.restore_callback_states_from_checkpoint:
            raise LadaError(
                "restore_callback_states_from_checkpoint=True: makes callbacks anew, which have no "
                "student. Leave it False: the compression's state is restored without it."
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
        """What the Trainer writes of this callback."""
        return {"args": {}, "attributes": {"compression": self.compression.state_dict()}}
