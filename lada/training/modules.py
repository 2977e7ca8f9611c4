"""The Lightning modules: a teacher that is fine-tuned, a student that is compressed."""

from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.classification import MulticlassAccuracy
from transformers import BertForSequenceClassification

from lada.errors import LadaError
from lada.methods.base import Method
from lada.nn.capture import Outputs, forward, set_attention
from lada.nn.compressed import factor_layers
from lada.ops.budget import Plan
from lada.training.optim import forget_, linear_decay, make_adamw

WAY_OUT = "start again with a lower learning rate, or with trainer.precision=fp32"
CHECK_EVERY = 50
"""On a GPU the loss is read back only so often: each look waits for the device."""


class Diverged(LadaError):
    """The loss is no finite number."""


class _Classifier(L.LightningModule):
    """What both share: the check on `select`, the optimizer, seeds by step, a finite loss."""

    def __init__(
        self,
        model: BertForSequenceClassification,
        *,
        total_steps: int,
        seed: int,
        optimizer: dict[str, Any],
        warmup: float,
        clip: float,
    ):
        super().__init__()
        self.model = model
        self.total_steps = total_steps
        self.seed = seed
        self._optimizer = optimizer
        self._warmup = warmup
        self._clip = clip
        self._finite: Tensor | None = None
        self.select_accuracy = MulticlassAccuracy(model.config.num_labels, average="micro")

    def on_train_batch_start(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        # Dropout is a function of (seed, batch number), not of what drew numbers before.
        torch.manual_seed(self.seed * 1_000_003 + batch_idx)

    def check_finite(self, what: str, value: Tensor, index: int) -> None:
        """Stop at a loss or gradient that is no number.

        On a CPU before it reaches the weights; on a GPU within `CHECK_EVERY` steps, and always
        before a checkpoint is written.
        """
        if self.device.type != "cpu":
            finite = torch.isfinite(value.detach())
            self._finite = finite if self._finite is None else self._finite & finite
            if index % CHECK_EVERY == 0:
                self._raise_if_not_finite()
            return
        if not torch.isfinite(value):
            raise Diverged(
                f"{what} became {float(value.detach())} at step {self.global_step}; {WAY_OUT}"
            )

    def _raise_if_not_finite(self) -> None:
        if self._finite is not None and not self._finite:
            raise Diverged(
                f"loss or gradient became no number by step {self.global_step}; {WAY_OUT}"
            )

    def on_validation_start(self) -> None:
        self._raise_if_not_finite()

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        logits = self.model(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            token_type_ids=batch["token_type_ids"],
        ).logits
        self.select_accuracy.update(logits.float(), batch["labels"])
        self.log("select/accuracy", self.select_accuracy, on_epoch=True, on_step=False)

    def configure_gradient_clipping(self, *args: Any, **kwargs: Any) -> None:
        # Lightning refuses to clip for a fused optimizer, since one with a gradient scaler would
        # unscale inside its step; bf16 and fp32 have no scaler.
        norm = torch.nn.utils.clip_grad_norm_(self.parameters(), self._clip)
        self.check_finite("gradient norm", norm, self.global_step)

    def configure_optimizers(self) -> Any:
        optimizer = make_adamw(self.model, **self._optimizer)
        schedule = linear_decay(optimizer, self.total_steps, self._warmup)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


class TeacherModule(_Classifier):
    """Plain fine-tuning by cross-entropy."""

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        logits = self.model(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            token_type_ids=batch["token_type_ids"],
        ).logits
        loss = F.cross_entropy(logits.float(), batch["labels"])
        self.check_finite("loss", loss, batch_idx)
        self.log("train/loss", loss.detach())
        return loss


class StudentModule(_Classifier):
    """A student that learns from its teacher while `HybridCompressionCallback` compresses it.

    The teacher is no submodule: it is neither trained nor kept in checkpoints.
    """

    def __init__(
        self,
        method: Method,
        student: BertForSequenceClassification,
        teacher: BertForSequenceClassification,
        plan: Plan | None,
        **kwargs: Any,
    ):
        super().__init__(student, **kwargs)
        self.method = method
        self.plan = plan
        self.round = -1
        """Index of the last round done; -1 before the first."""
        teacher.eval().requires_grad_(False)
        self._teacher = [teacher]  # in a list, so that it is not registered as a submodule
        set_attention(teacher, method.maps)
        set_attention(student, method.maps)

    @property
    def final_round(self) -> bool:
        """Whether the student has its target size."""
        return self.plan is None or self.round == len(self.plan.rounds) - 1

    @property
    def ratio(self) -> float:
        """How many times smaller the student is at present, by the plan."""
        return self.plan.rounds[self.round].ratio if self.plan and self.round >= 0 else 1.0

    def on_fit_start(self) -> None:
        self._teacher[0].to(self.device)

    def compress_(self, index: int) -> None:
        """Do round ``index`` of the plan in place, and clear the optimizer state it outdates."""
        assert self.plan is not None
        renewed = self.method.compress_(self.model, self.plan.rounds[index])
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        forget_(optimizer, self.model, renewed)
        self.round = index

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        needs = {"hidden": self.method.hidden, "attentions": self.method.maps is not None}
        with torch.no_grad():
            theirs = forward(self._teacher[0], batch, **needs)
        ours: Outputs = forward(self.model, batch, **needs)
        terms = self.method.losses(ours, theirs, batch)
        loss = torch.stack([weight * term for weight, term in terms.values()]).sum()
        self.check_finite("loss", loss, batch_idx)
        self.log("train/loss", loss.detach())
        self.log_dict({f"train/{name}": term.detach() for name, (_, term) in terms.items()})
        return loss

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        for layer in factor_layers(self.model).values():
            layer.mask_gradients_()

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        for layer in factor_layers(self.model).values():
            layer.apply_masks_()

    def on_validation_epoch_end(self) -> None:
        self.log("ratio", self.ratio)
