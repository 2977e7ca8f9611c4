"""Latency of BERT-base shapes at four targets, with masks and without, in every engine here.

    python experiments/size_and_speed/speed.py --out experiments/size_and_speed/speed.json

``ratios=paper`` spends a part of the budget on masks, ``ratios=fast`` all of it on rank (with
``ratios.round_to=16``). Weights are random and the vocabulary is cut to 2,000: there are no scores,
and lookups of word embeddings take the same time at any size. A setting whose encoder has the ranks
of an earlier one is skipped: at Table 2's first three they are the same.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from transformers import BertConfig, BertForSequenceClassification

import lada
from lada.bench import Settings, bench, choose_engines
from lada.files import output_file
from lada.methods.groups import RatiosConfig
from lada.methods.ratios import TABLE_2, fractions_for
from lada.nn.compressed import compressed_layers
from lada.nn.pretrained import load_tokenizer
from lada.nn.surgery import inventory, replace_empty_
from lada.ops.mask import largest
from lada.ops.plan import Round, make_plan
from lada.report.record import ENGINE_PACKAGES, PACKAGES, machine, write_json

VOCABULARY = 2000


def plan(target: float, rule: str) -> Round:
    """The plan of the whole BERT-base, word embeddings included."""
    with torch.device("meta"):
        counted = inventory(BertForSequenceClassification(BertConfig()))
    fractions = fractions_for(counted, target, RatiosConfig(rule=rule))
    step = 16 if rule == "fast" else 1
    return make_plan(counted, target, fractions, "geometric", 1, step).rounds[0]


def student(round_: Round) -> BertForSequenceClassification:
    """Random factors of the ranks and densities of a round."""
    torch.manual_seed(1)
    model = BertForSequenceClassification(BertConfig(vocab_size=VOCABULARY)).eval()
    replace_empty_(model, {s.name: {"kind": "factors", "rank": s.rank} for s in round_.shares})
    layers = compressed_layers(model)
    for share in round_.shares:
        layer = layers[share.name]
        for name, kept in (("factor_a", share.kept_a), ("factor_b", share.kept_b)):
            getattr(layer, name).data.normal_(std=0.1)
            # The cut word embeddings are not pruned, as in the full model.
            scores = getattr(layer, name).detach().abs()
            getattr(layer, layer.masks[name]).copy_(largest(scores, min(kept, scores.numel())))
        layer.set_masks_(*(layer.active(mask).clone() for mask in layer.masks.values()))
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=output_file, required=True)
    parser.add_argument("--targets", default="2.5,5,7.5,10", help="with commas")
    parser.add_argument("--engines", help="with commas; none: all here")
    args = parser.parse_args()
    settings = Settings(choose_engines(args.engines), lengths=(128,), batches=(1,), repeats=11)
    tokenizer = load_tokenizer(None, ["no text is read"])
    here = machine("cpu", torch.get_num_threads(), (*PACKAGES, *ENGINE_PACKAGES))
    command = " ".join(["python", "experiments/size_and_speed/speed.py", *sys.argv[1:]])
    done: list[dict[str, Any]] = []
    for target in (float(t) for t in args.targets.split(",")):
        if target not in TABLE_2:
            parser.error(f"--targets {target:g}: the paper has {', '.join(map(str, TABLE_2))}")
        for rule in ("paper", "fast"):
            round_ = plan(target, rule)
            ranks = sorted({share.rank for share in round_.shares[1:]})
            same = [s["target"] for s in done if s["encoder_ranks"] == ranks]
            if same:
                print(
                    f"x{target:g} {rule}: the encoder's ranks, and so its time, are x{same[0]:g}'s"
                )
                continue
            with tempfile.TemporaryDirectory() as work:
                lada.save(student(round_), tokenizer, Path(work) / "artifact", {})
                found = bench(
                    Path(work) / "artifact", None, settings, lambda line: print(line, flush=True)
                )
            found |= {"target": target, "ratios": rule, "encoder_ranks": ranks}
            done.append(found)
            # Written one by one: a stopped run keeps its results so far.
            write_json(args.out, {"command": command, "machine": here, "settings": done})


if __name__ == "__main__":
    main()
