"""MiniALBERT: one layer applied several times, with adapters, arXiv 2210.06425.

All applications share the layer; they differ by a pair of bottleneck adapters each. The forward
pass is that of transformers' own class, for every family whose layers have BERT's form: two blocks
that end in a LayerNorm each, to which hooks add the adapters. Choices where the paper is open, and
deviations from it:

- There is an adapter after the attention and one after the feed-forward block. In the authors' code
  each is before its block: the same chain, with one more at its start and one less at its end.
- ``adapter_size`` is a setting; in the authors' code it is a sixteenth of the width.
- An adapter ends in its own LayerNorm over the sum, as in the authors' code. Its weight starts at
  the scale of the states, not at 1 (`Adapter.match_scale_`).
- The shared layer starts as the teacher's first. A mean of the layers would be meaningless: their
  heads and inner units are in different orders.
- Embeddings, pooler, classifier and width are the teacher's. The authors' code uses the embeddings
  of a smaller BERT with a projection, has no pooler, and first learns from unlabelled text.
"""

import copy
import inspect
from collections.abc import Iterator
from functools import cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from lada.errors import LadaError
from lada.nn.autos import CLASSIFIER, plain_class
from lada.nn.families import encoder_prefix, family_of, layers_of
from lada.nn.running import Running


class Adapter(nn.Module):
    """``LayerNorm(x + up(GELU(down(x))))``, with a narrow ``down``.

    Args:
        size: units of ``down``.
        like: the norm that it follows, of whose width and eps its own is.
    """

    def __init__(self, size: int, like: nn.LayerNorm):
        super().__init__()
        width = like.normalized_shape[-1]
        self.down = nn.Linear(width, size)
        self.up = nn.Linear(size, width)
        self.LayerNorm = nn.LayerNorm(width, eps=like.eps)

    def forward(self, x: Tensor) -> Tensor:
        """X (..., width) -> the same shape."""
        normed: Tensor = self.LayerNorm(x + self.up(F.gelu(self.down(x))))
        return normed

    @torch.no_grad()
    def match_scale_(self, norm: nn.LayerNorm) -> None:
        """Start at the scale of the incoming states, the outputs of ``norm``.

        A LayerNorm that starts with weight 1 would scale states of root mean square 0.6, as in a
        trained BERT, to 1, and so undo the initialization from the teacher. An output of ``norm``
        is ``gamma z + beta`` with z of unit variance, so its root mean square is
        ``sqrt(mean(gamma^2 + beta^2))``.
        """
        scale = (norm.weight.square() + norm.bias.square()).mean().sqrt()
        self.LayerNorm.weight.fill_(float(scale))


_APPLIED = Running[tuple[nn.Module, nn.Module]]("application")
"""The two adapters of the application that runs: after the attention, and after the layer."""


class SharedLayer(nn.Module):
    """A layer with two adapters for each of its applications: the base of `_shared_class`.

    transformers' own hooks collect its output and its attention map at every application.
    """

    attention_adapters: nn.ModuleList
    output_adapters: nn.ModuleList

    def add_adapters_(self, applications: int, size: int) -> None:
        """Add random adapters, by torch's generator.

        Raises:
            LadaError: the layer has not the form of BERT's.
        """
        attention, output = norms = self.norms()
        self.attention_adapters, self.output_adapters = (
            nn.ModuleList(Adapter(size, norm) for _ in range(applications)) for norm in norms
        )
        attention.register_forward_hook(_after_attention)
        output.register_forward_hook(_after_output)

    def norms(self) -> tuple[nn.LayerNorm, nn.LayerNorm]:
        """The norms at the end of its two blocks.

        Raises:
            LadaError: it has not exactly two.
        """
        added = ("attention_adapters.", "output_adapters.")
        found = [
            module
            for name, module in self.named_modules()
            if isinstance(module, nn.LayerNorm) and not name.startswith(added)
        ]
        if len(found) != 2:
            raise LadaError(
                "method=minialbert: puts an adapter after each of the two LayerNorms of a layer, "
                f"and a {type(self).__name__.removeprefix('Shared')} has {len(found)}. Choose "
                "another method."
            )
        return found[0], found[1]

    def forward(self, *given: Any, application: int = 0, **named: Any) -> Any:
        """What the family's layer returns, by the application's number (from 0).

        States (batch, length, width) -> the same shape, alone or as the first of a tuple.
        """
        adapters = self.attention_adapters[application], self.output_adapters[application]
        token = _APPLIED.set(adapters)
        try:
            return super().forward(*given, **named)
        finally:
            _APPLIED.reset(token)


# Hooks are functions of the module, not of a layer: a copy of a model has hooks that are its own.
def _after_attention(_: nn.Module, __: Any, states: Tensor) -> Tensor | None:
    running = _APPLIED.get()
    return None if running is None else running[0](states)


def _after_output(_: nn.Module, __: Any, states: Tensor) -> Tensor | None:
    running = _APPLIED.get()
    return None if running is None else running[1](states)


@cache
def _shared_class(layer: type[nn.Module]) -> type[SharedLayer]:
    """The class of a family's layers, with adapters."""
    return type(f"Shared{layer.__name__}", (SharedLayer, layer), {})


class Repeated(nn.ModuleList):
    """Takes the place of an encoder's list of layers: iterating gives its one layer so many times.

    Args:
        layer: takes the number of the application as ``application``.
    """

    def __init__(self, layer: SharedLayer, applications: int):
        super().__init__([layer])
        self.applications = applications

    def __iter__(self) -> Iterator[Any]:
        return iter([partial(self[0], application=k) for k in range(self.applications)])

    __repr__ = nn.Module.__repr__  # that of a ModuleList iterates


class MiniAlbert(PreTrainedModel):
    """A classifier with a single layer: the base of the classes of `minialbert_class`.

    Args:
        config: the family's, where ``num_hidden_layers`` is the number of applications, and in
            addition ``adapter_size``, the inner width of the adapters.

    Raises:
        LadaError: the family's layers have not the form of BERT's.
    """

    def __init__(self, config: PreTrainedConfig):
        super().__init__(config)
        layers: Any = self.get_submodule(layers_of(self))
        if len(layers) != config.num_hidden_layers:
            raise LadaError(
                f"method=minialbert: a {config.model_type} applies one layer again and again by "
                "itself. Choose another method."
            )
        kind: Any = type(layers[0])
        # Layers that need the number of their place get that of the first.
        first = {"layer_idx": 0} if "layer_idx" in inspect.signature(kind).parameters else {}
        shared: Any = _shared_class(kind)(config, **first)
        shared.add_adapters_(config.num_hidden_layers, config.adapter_size)
        self.set_submodule(layers_of(self), Repeated(shared, config.num_hidden_layers))
        self.post_init()  # initializes the new modules

    @staticmethod
    def from_teacher(
        teacher: PreTrainedModel, applications: int, adapter_size: int
    ) -> "MiniAlbert":
        """A student with copies of the teacher's embeddings, first layer, pooler and classifier.

        Its adapters are random, by torch's generator, and keep the scale of the states
        (`Adapter.match_scale_`). The teacher is not changed.

        Raises:
            LadaError: the layers of the teacher's family have not the form of BERT's.
        """
        config = minialbert_config(teacher.config, applications, adapter_size)
        student = minialbert_class(family_of(config).model_type)(config)
        state, theirs = student.state_dict(), teacher.state_dict()
        student.load_state_dict({name: theirs.get(name, own) for name, own in state.items()})
        shared = student.shared_layer()
        places = (shared.attention_adapters, shared.output_adapters)
        for adapters, norm in zip(places, shared.norms(), strict=True):
            for adapter in adapters:
                assert isinstance(adapter, Adapter)
                adapter.match_scale_(norm)
        return student

    def shared_layer(self) -> SharedLayer:
        """The one layer."""
        layer = self.get_submodule(f"{layers_of(self)}.0")
        assert isinstance(layer, SharedLayer)
        return layer

    def train_adapters_only_(self) -> None:
        """Freeze all but the adapters and the classifier, in place: the paper's adapter tuning.

        The classifier is the last layer of the head.
        """
        self.requires_grad_(False)
        encoder, last = encoder_prefix(self), None
        for name, module in self.named_modules():
            if isinstance(module, Adapter):
                module.requires_grad_(True)
            elif isinstance(module, nn.Linear) and not name.startswith(encoder):
                last = module
        assert last is not None
        last.requires_grad_(True)


@cache
def minialbert_class(family: str) -> type[MiniAlbert]:
    """The class of a family's classifiers with a single layer."""
    plain = plain_class(family, CLASSIFIER)
    name = f"MiniAlbert{plain.__name__}"
    return type(name, (MiniAlbert, plain), {"__doc__": f"A `{plain.__name__}` with one layer."})


def minialbert_config(
    teacher: PreTrainedConfig, applications: int, adapter_size: int
) -> PreTrainedConfig:
    """The config of a `MiniAlbert` from a teacher of this config."""
    config = copy.deepcopy(teacher)
    config.num_hidden_layers = applications
    config.adapter_size = adapter_size
    return config
