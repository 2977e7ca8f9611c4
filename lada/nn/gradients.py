"""How long the gradient of a value is."""

import torch
from torch import Tensor, nn

from lada.nn.compressed import compressed_layers


def gradient_norm(model: nn.Module, value: Tensor) -> Tensor:
    """The norm of the gradient of a scalar by all trained parameters of a model, ().

    Pruned entries, which are not trained, do not count. The graph of ``value`` is kept, and no
    parameter's ``grad`` changes. 0 if nothing that is trained decides the value.
    """
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not value.requires_grad or not trained:
        return torch.zeros_like(value.detach())
    found = torch.autograd.grad(value, list(trained.values()), retain_graph=True, allow_unused=True)
    gradients = {name: g for name, g in zip(trained, found, strict=True) if g is not None}
    for name, layer in compressed_layers(model).items():
        for part, mask in layer.masks.items() if layer.masked else ():
            key = f"{name}.{part}" if name else part
            if key in gradients:
                kept = layer.active(mask)  # what is beyond the active part has no gradient
                gradients[key] = gradients[key][:, : kept.shape[1]] * kept
    if not gradients:
        return torch.zeros_like(value.detach())
    return torch.nn.utils.get_total_norm(gradients.values())
