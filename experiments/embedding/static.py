"""Static embeddings on the same pairs: a vector per token, and no layers.

    pip install wordllama==0.4.0.post1 'model2vec[distill]==0.10.0'
    python experiments/embedding/static.py PAIRS MINILM OUT.json

PAIRS is pairs.csv of `texts.py`, MINILM the folder of the published model. `wordllama` ships its
weights in its package; `model2vec` makes a static model of MiniLM itself (principal components of
its tokens' vectors, weighted by rank), with its own defaults. It needs an environment of its own,
with versions of transformers that these packages accept.
"""

import argparse
import csv
import json
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

SAMPLES = 1000
"""Of the bootstrap."""


def cosines(encode: Any, pairs: list[dict[str, str]]) -> np.ndarray:
    """The cosine of the two texts of each pair."""
    first, second = (
        np.asarray(encode([pair[name] for pair in pairs]), np.float64)
        for name in ("text", "text_pair")
    )
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return (first * second).sum(1) / np.maximum(norms, 1e-12)


def scored(found: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Spearman's correlation, and its 95 % interval by bootstrap over the pairs."""
    draw = np.random.default_rng(0)
    drawn = []
    for _ in range(SAMPLES):
        index = draw.integers(len(truth), size=len(truth))
        drawn.append(spearmanr(found[index], truth[index]).statistic)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {
        "spearman": round(float(spearmanr(found, truth).statistic), 4),
        "spearman_95": [round(float(low), 4), round(float(high), 4)],
    }


def per_second(encode: Any, pairs: list[dict[str, str]]) -> int:
    """Texts per second, tokenization included: the median of five."""
    texts = [pair[name] for pair in pairs for name in ("text", "text_pair")]
    encode(texts)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        encode(texts)
        seconds.append(time.perf_counter() - start)
    return round(len(texts) / float(np.median(seconds)))


def main() -> None:
    """Measure both, and MiniLM's teacher is in the records of the runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("minilm", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    with arguments.pairs.open(encoding="utf-8", newline="") as file:
        pairs = list(csv.DictReader(file))
    truth = np.array([float(pair["label"]) for pair in pairs])

    import wordllama
    from model2vec.distill import distill

    package = Path(wordllama.__file__).parent
    # Its cache is looked through; where it looks in the package, the tokenizer is not.
    ready = wordllama.WordLlama.load(cache_dir=package, disable_download=True)
    rows: dict[str, Any] = {
        "wordllama": scored(cosines(ready.embed, pairs), truth)
        | {"version": version("wordllama"), "dimensions": ready.embed(["a"]).shape[1],
           "texts_per_second": per_second(ready.embed, pairs),
           "bytes": sum(file.stat().st_size for file in (package / "weights").iterdir())}
    }  # fmt: skip
    made = distill(str(arguments.minilm))
    made.save_pretrained(arguments.out.parent / "static")
    rows["model2vec of MiniLM"] = scored(cosines(made.encode, pairs), truth) | {
        "version": version("model2vec"),
        "texts_per_second": per_second(made.encode, pairs),
        "dimensions": int(made.embedding.shape[1]),
        "bytes": (arguments.out.parent / "static/model.safetensors").stat().st_size,
    }
    found = {"pairs": len(pairs), "rows": rows}
    arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
