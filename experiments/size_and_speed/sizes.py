"""Bytes of BERT-base at the paper's four settings, in every encoding, on random weights.

    python experiments/size_and_speed/sizes.py --out experiments/size_and_speed/sizes.json

Twice at each setting: with the ratios as the paper prints them (x2.45, x4.38, x7.02 and x9.10 by
this project's count), and with the pruning ratio solved to meet the target (``ratios=paper``).
Factors are normal, and the smallest magnitudes are pruned: real ones pack about as well (see
scores.py).
"""

import argparse
import json
import math
import sys
import time
import zlib
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import BertConfig, BertForSequenceClassification

from lada.artifact.codec import decode, encode
from lada.artifact.stored import how_stored
from lada.files import output_file
from lada.methods.groups import RatiosConfig
from lada.methods.ratios import TABLE_2, fractions_for
from lada.nn.surgery import inventory
from lada.ops.budget import Fractions, exact_ratio
from lada.ops.mask import largest
from lada.ops.plan import make_plan
from lada.report.record import machine, write_json

PRINTED_PRUNING = {2.5: 1.56, 5.0: 3.41, 7.5: 4.33, 10.0: 5.45}
"""LadaBERT Table 2's pruning column, as ratios."""


def bert_base() -> BertForSequenceClassification:
    """A model with shapes only: nothing is allocated."""
    with torch.device("meta"):
        return BertForSequenceClassification(BertConfig(num_labels=3))


def fractions_of(target: float, printed: bool) -> Fractions:
    """The fractions of a setting of Table 2."""
    if not printed:
        return fractions_for(inventory(bert_base()), target, RatiosConfig(rule="paper"))
    embedding, svd = TABLE_2[target]
    return Fractions(1 / embedding, 1 / svd, 1 / PRINTED_PRUNING[target])


def tensors(fractions: Fractions) -> dict[str, tuple[Tensor, Tensor | None]]:
    """All tensors of a compressed BERT-base, by name, with their masks."""
    model = bert_base()
    counted = inventory(model)
    met = exact_ratio(counted, fractions)
    shares = {
        s.name: s for s in make_plan(counted, met, fractions, "geometric", 1).rounds[0].shares
    }
    g = torch.Generator().manual_seed(1)
    out: dict[str, tuple[Tensor, Tensor | None]] = {}
    for name, p in model.named_parameters():
        owner = name.rpartition(".")[0]
        if owner not in shares or name.endswith("bias"):
            out[name] = 0.02 * torch.randn(p.shape, generator=g), None
            continue
        share = shares[owner]
        for side, rows, kept in (("a", p.shape[0], share.kept_a), ("b", p.shape[1], share.kept_b)):
            values = 0.1 * torch.randn(rows, share.rank, generator=g)
            mask = largest(values.abs(), kept) if kept < values.numel() else None
            values = values if mask is None else values * mask
            out[f"{owner}.factor_{side}"] = values, mask
    return out


def entropy(values: Tensor, mask: Tensor | None, blob: bytes, name: str) -> float:
    """A lower bound in bytes for any code: of the mask, and of the values as stored."""
    bits = 0.0
    if mask is not None:
        d = float(mask.float().mean())
        bits += mask.numel() * -(d * math.log2(d) + (1 - d) * math.log2(1 - d))
    found, _ = decode(name, blob, tuple(values.shape))
    kept = found if mask is None else found[mask]
    if values.dim() == 1:
        return bits / 8 + 2 * kept.numel()
    steps = (values.abs().amax(0 if "factor" in name else 1, keepdim=True) / 127).expand_as(values)
    numbers = (found / steps).round()
    _, counts = np.unique((numbers if mask is None else numbers[mask]).numpy(), return_counts=True)
    share = counts / counts.sum()
    return (bits + kept.numel() * float(-(share * np.log2(share)).sum())) / 8


def measure(target: float, printed: bool) -> dict[str, Any]:
    """Bytes of one setting in each encoding."""
    made = tensors(fractions_of(target, printed))
    total = sum(p.numel() for p in bert_base().parameters())
    kept = sum(v.numel() if m is None else int(m.sum()) for v, m in made.values())
    row: dict[str, Any] = {
        "target": target,
        "ratios": "printed" if printed else "paper",
        "reached": total / kept,
        "nonzeros": kept,
        "nonzeros_x32_bits": 4 * kept,
        "dense_fp32": 4 * total,
        "fp32_with_zeros": sum(4 * v.numel() for v, _ in made.values()),
        "csr_int32": sum(
            4 * v.numel() if m is None else 8 * int(m.sum()) + 4 * (len(v) + 1)
            for v, m in made.values()
        ),
        "zip_of_fp32_with_zeros": sum(
            len(zlib.compress(v.numpy().tobytes())) for v, _ in made.values()
        ),
    }
    for values in ("fp32", "fp16", "int8"):
        blobs = {n: encode(n, v, m, *how_stored(n, v, values)) for n, (v, m) in made.items()}
        row[f"ours_{values}"] = sum(len(blob) for blob in blobs.values())
        if values == "int8":
            row["entropy_int8"] = round(
                sum(entropy(v, m, blobs[n], n) for n, (v, m) in made.items())
            )
            row["decode_megabytes_a_second"] = round(speed(made, blobs))
    return row


def speed(made: dict[str, tuple[Tensor, Tensor | None]], blobs: dict[str, bytes]) -> float:
    """Fp32 output of decoding everything on one thread, MB/s; median of five."""
    size = sum(4 * v.numel() for v, _ in made.values()) / 1e6
    times = []
    for _ in range(5):
        started = time.perf_counter()
        for name, (values, _) in made.items():
            decode(name, blobs[name], tuple(values.shape))
        times.append(time.perf_counter() - started)
    return size / sorted(times)[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=output_file, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    command = " ".join(["python", "experiments/size_and_speed/sizes.py", *sys.argv[1:]])
    for printed in (True, False):
        for target in TABLE_2:
            rows.append(measure(target, printed))
            print(json.dumps(rows[-1]), flush=True)
            write_json(args.out, {"command": command, "machine": machine("cpu", 1), "rows": rows})


if __name__ == "__main__":
    main()
