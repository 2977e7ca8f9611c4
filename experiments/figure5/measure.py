"""The paper's Figure 5: what compression in one shot to 20 % of a matrix does to its entries.

    python experiments/figure5/measure.py SST2 TEACHER OUT.json

Every encoder matrix of the pretrained MiniLM, and of a teacher that was fine-tuned from it, is
compressed to 20 % of its entries: by pruning, by SVD, by hybrid pruning (SVD to 40 %, then half of
the factors' entries), and by the parts of `lada_plus`. The error of a weight is the compressed
matrix minus the matrix. That of outputs is for 1,024 training sentences of SST-2 which the
statistics have not seen.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import BertForSequenceClassification

sys.path.insert(0, str(Path(__file__).parents[2]))

from experiments.ablation.setting import EXAMPLES, batches, finish, sentences
from lada.nn.pretrained import find_model, load_tokenizer
from lada.nn.statistics import gather
from lada.nn.surgery import inventory
from lada.ops.factorize import EVEN, Weights, weighted_factors
from lada.ops.factorizers import whitened
from lada.ops.mask import largest
from lada.ops.scores import activation, magnitude
from lada.ops.statistics import Seen

SHARE = 0.2
"""What is left of a matrix."""
SHOWN = "bert.encoder.layer.3.intermediate.dense"
"""The matrix whose errors are drawn: of a middle layer, 1,536 x 384."""
BINS = np.linspace(-0.15, 0.15, 121)

Score = Callable[[list[Tensor], Seen], list[Tensor]]


def pruned(parts: list[Tensor], density: float, score: Score, seen: Seen) -> list[Tensor]:
    """Each part without the entries of its lowest scores."""
    return [
        part * largest(scores, round(density * part.numel()))
        for part, scores in zip(parts, score(parts, seen), strict=True)
    ]


def factors(weight: Tensor, share: float, weights: Weights) -> list[Tensor]:
    """Factors with this share of the matrix's entries."""
    rank = round(share * weight.numel() / sum(weight.shape))
    return list(weighted_factors(weight, rank, weights))


def pruning(weight: Tensor, seen: Seen) -> Tensor:
    """The matrix without its smallest entries."""
    return pruned([weight], SHARE, magnitude, seen)[0]


def hybrid(density: float, white: bool, score: Score) -> Callable[[Tensor, Seen], Tensor]:
    """Factors of which this share of the entries is left."""

    def compress(weight: Tensor, seen: Seen) -> Tensor:
        parts = factors(weight, SHARE / density, whitened(seen) if white else EVEN)
        a, b = parts if density == 1 else pruned(parts, density, score, seen)
        return a @ b.T

    return compress


VARIANTS = {
    "pruning": pruning,
    "SVD": hybrid(1.0, False, magnitude),
    "hybrid": hybrid(0.5, False, magnitude),
    "whitened SVD": hybrid(1.0, True, magnitude),
    "whitened hybrid": hybrid(0.5, True, activation),
    "lada_plus (density 0.4)": hybrid(0.4, True, activation),
}


@torch.no_grad()
def errors_of(name: str, folder: Path, texts: list[str]) -> list[dict[str, Any]]:
    """A row per variant: of the shown matrix, and means over all."""
    torch.manual_seed(0)  # the head of the pretrained model; no matrix here
    model = BertForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    tokenizer = load_tokenizer(folder, [])
    ours, other = (
        gather(model, batches(part, tokenizer)) for part in (texts[:EXAMPLES], texts[EXAMPLES:])
    )
    names = [m.name for m in inventory(model).matrices if not m.embedding]
    rows = []
    for variant, compress in VARIANTS.items():
        weights, outputs = [], []
        for matrix in names:
            weight = model.get_submodule(matrix).weight
            second = other.of(matrix).second
            assert second is not None
            wrong = compress(weight, ours.of(matrix)) - weight
            weights.append(float(wrong.square().sum() / weight.square().sum()))
            outputs.append(
                float(((wrong @ second) * wrong).sum() / ((weight @ second) * weight).sum())
            )
            if matrix == SHOWN:
                shown = wrong.flatten().double().numpy()
        place = names.index(SHOWN)
        rows.append(
            {
                "model": name,
                "variant": variant,
                "mean": round(float(np.abs(shown).mean()), 5),
                "deviation": round(float(shown.std()), 5),
                "weights": round(weights[place], 4),
                "outputs": round(outputs[place], 4),
                "all_weights": round(float(np.mean(weights)), 4),
                "all_outputs": round(float(np.mean(outputs)), 4),
                "histogram": np.histogram(shown, BINS)[0].tolist(),
            }
        )
        print({k: v for k, v in rows[-1].items() if k != "histogram"}, flush=True)
    return rows


def main() -> None:
    """Measure both models."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sst2", type=Path)
    parser.add_argument("teacher", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    texts = sentences(arguments.sst2)
    models = {"pretrained": find_model("minilm-l6", None), "fine-tuned": arguments.teacher}
    rows = [row for name, folder in models.items() for row in errors_of(name, folder, texts)]
    finish(rows, arguments.out)


if __name__ == "__main__":
    main()
