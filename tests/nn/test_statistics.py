"""What layers see, against hidden states and counts of the batch."""

from collections import Counter
from pathlib import Path

import families
import pytest
import torch
from torch import Tensor
from transformers import BertForSequenceClassification

from lada.nn.families import FAMILIES
from lada.nn.statistics import gather, read_statistics, write_statistics
from lada.nn.surgery import inventory

LAYER = "bert.encoder.layer.1."
WORDS = "bert.embeddings.word_embeddings"


def second(x: Tensor) -> Tensor:
    return x.T @ x / len(x)


def test_moments_and_counts(bert: BertForSequenceClassification, batch: dict[str, Tensor]) -> None:
    found = gather(bert, [batch])
    real = batch["attention_mask"].bool()
    with torch.no_grad():
        hidden = bert(**batch, output_hidden_states=True).hidden_states
    expected = second(hidden[1][real])
    for name in ("query", "key", "value"):
        seen = found.of(f"{LAYER}attention.self.{name}").second
        torch.testing.assert_close(seen, expected)
    counts = Counter(batch["input_ids"][real].tolist())
    looked_up = found.of(WORDS).counts
    assert looked_up is not None
    assert {i: int(n) for i, n in enumerate(looked_up) if n} == dict(counts)
    assert (found.examples, found.tokens) == (3, 12)


def test_batches_and_padding_do_not_matter(
    bert: BertForSequenceClassification, batch: dict[str, Tensor]
) -> None:
    found = gather(bert, [batch])
    single = [
        {name: tensor[i : i + 1, :length] for name, tensor in batch.items()}
        for i, length in enumerate((7, 4, 1))
    ]
    again = gather(bert, iter(single))
    assert (again.examples, again.tokens) == (3, 12)
    for name, seen in found.layers.items():
        for a, b in ((seen.second, again.of(name).second), (seen.counts, again.of(name).counts)):
            assert (a is None) == (b is None)
            if a is not None and b is not None:
                torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_the_model_is_left_as_it_is(
    bert: BertForSequenceClassification, batch: dict[str, Tensor]
) -> None:
    bert.train()
    before = {name: tensor.clone() for name, tensor in bert.state_dict().items()}
    gather(bert, [batch])
    assert bert.training
    assert not any(m._forward_pre_hooks for m in bert.modules())
    assert all(torch.equal(before[name], t) for name, t in bert.state_dict().items())
    with pytest.raises(KeyError, match="input_ids"):
        gather(bert, [{"attention_mask": batch["attention_mask"]}])
    assert not any(m._forward_pre_hooks for m in bert.modules())


@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_matrix_of_every_family(
    family: str, batch: dict[str, Tensor], tmp_path: Path
) -> None:
    model = families.tiny(family)
    found = gather(model, [batch])
    matrices = inventory(model, pooler=True).matrices
    assert {m.name for m in matrices} == set(found.layers)
    for matrix in matrices:
        seen = found.of(matrix.name)
        if matrix.embedding:
            assert seen.second is None and seen.counts is not None
            assert seen.counts.shape == (matrix.rows,) and int(seen.counts.sum()) == 12
        else:
            assert seen.counts is None and seen.second is not None
            assert seen.second.shape == (matrix.cols, matrix.cols)
            assert float(seen.second.diagonal().sum()) > 0
    write_statistics(found, tmp_path / "x.safetensors")
    again = read_statistics(tmp_path / "x.safetensors")
    assert (again.examples, again.tokens) == (found.examples, found.tokens)
    assert set(again.layers) == set(found.layers)
    for name, seen in found.layers.items():
        for a, b in ((seen.second, again.of(name).second), (seen.counts, again.of(name).counts)):
            assert (a is None and b is None) or torch.equal(a, b)  # type: ignore[arg-type]


def test_layers_with_one_input_share_a_tensor(
    bert: BertForSequenceClassification, batch: dict[str, Tensor], tmp_path: Path
) -> None:
    found = gather(bert, [batch])
    query, key = (found.layers[f"{LAYER}attention.self.{name}"].second for name in ("query", "key"))
    assert query is key
    write_statistics(found, tmp_path / "x")
    # 2 layers: of 16 inputs those of attention, its output and the first product; of 32 the second.
    layers, pooler = 2 * 4 * (3 * 16**2 + 32**2), 4 * 16**2
    assert (tmp_path / "x").stat().st_size < layers + pooler + 40 * 8 + 4000
