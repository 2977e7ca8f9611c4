"""The Lightning modules: a teacher that is fine-tuned, a student that is compressed."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import lightning as L
import torch
from torch import Tensor
from transformers import PreTrainedModel

from lada.errors import LadaError
from lada.heads.base import Head
from lada.methods.base import Method, Regularizer, loss_of_predictions, part_of
from lada.nn.capture import Outputs, forward, set_attention
from lada.nn.device import move_
from lada.nn.dropout import use_quick_dropout_
from lada.nn.memory import separated_parameters
from lada.training.balance import Balance
from lada.training.collected import Collected
from lada.training.datamodule import ExamplesModule
from lada.training.optim import linear_decay, make_adamw

CHECK_EVERY = 50
"""On a GPU, steps between two reads of the non-finite count: each read waits for the device."""

REDRAW_EVERY = 5
"""Steps between two updates of the progress bar."""


class Diverged(LadaError):
    """More steps than allowed had a gradient that is NaN or infinite."""


class _Learner(L.LightningModule):
    """What both share: validation, the optimizer, seeds by step, non-finite steps.

    A step whose gradient is NaN or infinite is skipped: weights, moments and step counts stay as
    they are.

    Args:
        head: the kind of the task.
        total_steps: optimizer steps of the training.
        optimizer: keyword arguments of `make_adamw`.
        warmup: share of the steps.
        clip: largest gradient norm.
        max_nonfinite: how many non-finite steps may be skipped before the training stops.
        renewals, stages: steps before which the learning rate warms up again (see
            `lada.ops.schedule.staged_rate`).
    """

    nonfinite_steps: Tensor

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        head: Head,
        total_steps: int,
        seed: int,
        optimizer: dict[str, Any],
        warmup: float,
        clip: float,
        max_nonfinite: int,
        renewals: Sequence[int] = (),
        stages: Sequence[int] = (),
    ):
        super().__init__()
        self.model = model
        self.head = head
        self.total_steps = total_steps
        self.seed = seed
        self._optimizer = optimizer
        self._warmup = warmup
        self._renewals = renewals
        self._stages = stages
        self._clip = clip
        self._max_nonfinite = max_nonfinite
        use_quick_dropout_(model)
        self.register_buffer("nonfinite_steps", torch.zeros((), dtype=torch.int64))
        self._collected = Collected(head)

    def on_train_batch_start(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        # Dropout is a function of (seed, step, part of the step's batch), not of the random numbers
        # drawn before. Parts are numbered over processes and accumulated batches.
        t = self.trainer
        accumulate = t.accumulate_grad_batches
        part = t.global_step * accumulate + batch_idx % accumulate
        seed = self.seed * 1_000_003 + part * t.world_size + t.global_rank
        # Not torch.manual_seed: without a GPU it queues a call for a later CUDA start each time,
        # with a stack trace.
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _raise_if_diverged(self) -> None:
        allowed = self._max_nonfinite
        if int(self.nonfinite_steps) > allowed:
            skipped = f", after {allowed} skipped steps" if allowed else ""
            exact = self.trainer.precision == "32-true"
            raise Diverged(
                f"the loss or its gradient is NaN or infinite at step {self.global_step}{skipped}. "
                "Start again with a lower learning rate"
                f"{'' if exact else ', or with trainer.precision=fp32'}."
            )

    def on_validation_start(self) -> None:
        self._raise_if_diverged()
        self._collected.clear()

    @property
    def deciding(self) -> str:
        """The name under which the score on the validation split is logged."""
        return f"validation/{self.head.chosen_by.name}"

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        self._collected.add(forward(self.model, batch, output=self.head.output).logits, batch)

    def on_validation_epoch_end(self) -> None:
        # Of all processes, since most scores are no means of scores of parts.
        found: ExamplesModule = self.trainer.datamodule  # type: ignore[attr-defined]
        self.log(self.deciding, self._collected.score(found.validation, found.validation_split))

    def configure_gradient_clipping(self, *args: Any, **kwargs: Any) -> None:
        # Lightning does not clip for a fused optimizer, since one with a gradient scaler would
        # unscale inside its step; bf16 and fp32 have no scaler.
        norm = torch.nn.utils.clip_grad_norm_(self.parameters(), self._clip)
        nonfinite = ~torch.isfinite(norm)
        self.nonfinite_steps += nonfinite
        # How a gradient scaler tells a fused optimizer to skip a step, without waiting for the
        # device. Gradients are averaged over processes before, so all of them skip the same.
        self._adamw().found_inf = nonfinite.float()  # type: ignore[attr-defined]
        if self.device.type == "cpu" or self.global_step % CHECK_EVERY == 0:
            self._raise_if_diverged()

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        # Else the gradients would take memory through the next forward pass.
        self._adamw().zero_grad()

    def _adamw(self) -> torch.optim.Optimizer:
        """The only optimizer, not wrapped by Lightning."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        return optimizer

    def log_terms(self, terms: dict[str, Tensor], batch_idx: int) -> None:
        """Log scalars, averaged over processes, at the steps that are displayed or written.

        They go straight to the logger: Lightning would keep writing a term that the loss no longer
        has.
        """
        t, step = self.trainer, self.global_step + 1
        if (batch_idx + 1) % t.accumulate_grad_batches:
            return  # not the last accumulated batch of its step
        # Lightning does not declare this attribute.
        written = step % t.log_every_n_steps == 0  # type: ignore[attr-defined]
        if not written and step % REDRAW_EVERY:
            return
        values = torch.stack([term.detach() for term in terms.values()])
        if t.world_size > 1:
            torch.distributed.all_reduce(values)
            values /= t.world_size
        named = {f"train/{name}": value for name, value in zip(terms, values, strict=True)}
        self.log("train/loss", named["train/loss"], logger=False)
        for logger in t.loggers if written else ():
            found = {name: float(value) for name, value in named.items()}
            found["optim/lr"] = self._adamw().param_groups[0]["lr"]
            logger.log_metrics({"epoch": t.current_epoch, **found}, step=self.global_step)

    def configure_optimizers(self) -> Any:
        optimizer = make_adamw(self, **self._optimizer)
        schedule = linear_decay(
            optimizer, self.total_steps, self._warmup, self._renewals, self._stages
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


class TeacherModule(_Learner):
    """Plain fine-tuning on labels."""

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        found = forward(self.model, batch, output=self.head.output).logits
        loss = self.head.hard(found, batch) * batch["weight"]
        self.log_terms({"loss": loss}, batch_idx)
        return loss


class StudentModule(_Learner):
    """A student that learns from its teacher, by the loss of a method.

    The teacher is not a submodule: it is neither trained nor saved in checkpoints.

    Args:
        live: whether the teacher runs at each step; else its outputs come with the batches, or the
            method does not use it.
        compiled: whether the student is compiled by torch.compile.
        given_weight: of what another model says of examples (``batch["given"]``), against the
            teacher's predictions.
        balance: what the terms of the loss are balanced by; None: by their weights alone.

    Attributes:
        predictions: the part of the last step's loss that is of the predictions, if others are
            beside it; for scores that are by its gradient alone.
    """

    predictions: Tensor | None = None

    def __init__(
        self,
        method: Method,
        student: PreTrainedModel,
        teacher: PreTrainedModel,
        *,
        live: bool,
        compiled: bool,
        given_weight: float = 0.5,
        balance: Balance | None = None,
        **kwargs: Any,
    ):
        super().__init__(student, **kwargs)
        self.method = method
        self.balance = balance
        self._regularizer: Regularizer | None = part_of(method, Regularizer)
        self._given_weight = given_weight
        teacher.eval().requires_grad_(False)
        self.projection = method.projection(student, teacher)
        set_attention(teacher, method.maps)
        # In a list, so that it is not registered as a submodule.
        self._teacher = [teacher] if live else []
        set_attention(student, method.maps)
        if compiled:
            self._compile()

    def _compile(self) -> None:
        """Compile the student in place; the names in its state_dict stay.

        Ranks and lengths are symbols in the graph, so that a round does not recompile. Where torch
        would fall back to eager with only a warning, it raises instead.
        """
        torch._dynamo.config.allow_unspec_int_on_nn_module = True
        torch._dynamo.config.fail_on_recompile_limit_hit = True
        # Else a graph could not be kept for more than one backward pass.
        kept = self.balance is not None or bool(separated_parameters(self.model))
        torch._functorch.config.donated_buffer = not kept
        # transformers installs its hooks for attention maps and hidden states at the first call,
        # which would break that call's graph.
        one = torch.ones(1, 2, dtype=torch.int64)
        batch = {"input_ids": one, "attention_mask": one, "token_type_ids": 0 * one}
        with torch.no_grad():
            forward(self.model, batch, **self._needs)
        self.model.compile(dynamic=True)

    @property
    def _needs(self) -> dict[str, Any]:
        return {
            "hidden": self.method.hidden,
            "attentions": self.method.maps is not None,
            "output": self.head.output,
        }

    def on_fit_start(self) -> None:
        for teacher in self._teacher:
            move_(teacher, self.device)

    @torch.no_grad()
    def _theirs(self, batch: dict[str, Tensor]) -> Outputs:
        """The teacher's outputs for a batch: computed now, or stored before; mixed with those that
        were given.
        """
        if not self.method.taught:
            return Outputs(torch.empty(0), (), ())
        found: Outputs
        if self._teacher:
            found = forward(self._teacher[0], batch, **self._needs)
        else:
            found = Outputs(
                batch["teacher_logits"],
                batch["teacher_hidden"].unbind(1) if self.method.hidden else (),
                batch["teacher_maps"].unbind(1) if self.method.maps else (),
            )
        if "given" not in batch:
            return found
        mixed = self.head.mixed(found.logits, batch["given"], self._given_weight)
        return replace(found, logits=mixed)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        theirs = self._theirs(batch)
        ours: Outputs = forward(self.model, batch, **self._needs)
        if self.projection is not None:
            ours = replace(ours, hidden=self.projection(ours.hidden))
        progress = self.global_step / self.total_steps
        terms = self.method.losses(ours, theirs, batch, progress)
        balance, factors = self.balance, dict[str, Any]()
        if balance is not None:
            first = batch_idx % self.trainer.accumulate_grad_batches == 0
            if first and balance.is_due(self.global_step):
                balance.measure_(self, terms, batch["weight"])
            factors = {name: balance.of(name) for name in terms}
        if self._regularizer is not None:
            # Once per step, however many parts its batch has.
            share = len(batch["input_ids"]) / batch["totals"][0]
            found = self._regularizer.penalties(self.model, progress)
            terms |= {name: (weight, term * share) for name, (weight, term) in found.items()}
        weighted = {n: (w * factors.get(n, 1.0), term) for n, (w, term) in terms.items()}
        loss = torch.stack([w * term for w, term in weighted.values()]).sum() * batch["weight"]
        predictions = loss_of_predictions(weighted)
        self.predictions = None if predictions is None else predictions * batch["weight"]
        shown = {name: term * batch["weight"] for name, (_, term) in terms.items()}
        self.log_terms({"loss": loss, **shown}, batch_idx)
        return loss
