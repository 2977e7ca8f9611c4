"""Squared gradients of rows, against autograd's gradients of every example by itself."""

from pathlib import Path

import families
import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from lada.errors import LadaError
from lada.heads import head_named
from lada.nn.families import FAMILIES
from lada.nn.statistics import gather, read_statistics, write_statistics
from lada.nn.surgery import inventory

LABELS = torch.tensor([1, 0, 1])
HEAD = head_named("single_label", ("bad", "good"))


def expected(model: PreTrainedModel, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """The mean over examples, each without padding and by its own cross-entropy."""
    sums: dict[str, Tensor] = {}
    model.eval()
    for i, length in enumerate((7, 4, 1)):
        one = {name: tensor[i : i + 1, :length] for name, tensor in batch.items()}
        if not FAMILIES[model.config.model_type].types:
            one.pop("token_type_ids")
        model.zero_grad()
        logits = model(**one).logits
        torch.nn.functional.cross_entropy(logits, LABELS[i : i + 1]).backward()
        for matrix in inventory(model, pooler=True).matrices:
            gradient = model.get_submodule(matrix.name).weight.grad
            assert isinstance(gradient, Tensor)
            squares = gradient.square().sum(1) / 3
            sums[matrix.name] = sums.get(matrix.name, 0.0) + squares
    model.zero_grad()
    return sums


@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_matrix_of_every_family(
    family: str, batch: dict[str, Tensor], tmp_path: Path
) -> None:
    model = families.tiny(family)
    reference = expected(model, batch)
    for p in model.parameters():
        p.requires_grad_(family != "bert")  # a frozen model has them, too
    found = gather(model, [batch | {"labels": LABELS}], HEAD.summed)
    assert all(p.grad is None for p in model.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert set(found.layers) == set(reference)
    for name, rows in reference.items():
        if family == "deberta-v2" and name.endswith(("query_proj", "key_proj")):
            continue  # they also multiply distances, which are of no example
        ours = found.of(name).gradients
        assert ours is not None and float(rows.sum()) > 0
        torch.testing.assert_close(ours, rows, rtol=1e-3, atol=1e-4 * float(rows.max()))
    plain = gather(model, [batch])
    for name, seen in plain.layers.items():
        assert seen.gradients is None
        same = seen.second if seen.counts is None else seen.counts
        other = found.of(name).second if seen.counts is None else found.of(name).counts
        torch.testing.assert_close(other, same)
    write_statistics(found, tmp_path / "x")
    again = read_statistics(tmp_path / "x")
    for name, seen in found.layers.items():
        assert seen.gradients is not None
        assert torch.equal(seen.gradients, again.layers[name].gradients)  # type: ignore[arg-type]


def test_of_fewer_tokens(batch: dict[str, Tensor]) -> None:
    found = gather(families.tiny("bert"), [batch | {"labels": LABELS}], HEAD.summed)
    kept = batch["input_ids"][0].unique()
    fewer = found.of_tokens(kept)
    for name, seen in found.layers.items():
        assert seen.gradients is not None
        rows = seen.gradients if seen.counts is None else seen.gradients[kept]
        assert torch.equal(fewer.of(name).gradients, rows)  # type: ignore[arg-type]


def test_examples_without_labels_are_told(batch: dict[str, Tensor]) -> None:
    none = torch.full((3,), -100)
    with pytest.raises(LadaError, match=r"loss has no gradient on these examples\. Give"):
        gather(families.tiny("bert"), [batch | {"labels": none}], HEAD.summed)
