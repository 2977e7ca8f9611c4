"""Pruned word embeddings, right after compression, without any training.

    python experiments/ablation/one_shot_words.py SST2 OUT.json

The pretrained MiniLM is compressed in one round with each `word_density` and the factorizer, score
and allocation of `lada_plus` (not its `whole`, as in one_shot.py), from statistics of 1,024
training sentences of SST-2. On as many other sentences: the relative squared error of the word
embeddings, by how often tokens occur, and of the tokens among them that the statistics have never
seen; that of the encoder's matrices' outputs; and, on 256 of the sentences, that of the hidden
states of the whole student. Bytes are expected, of int8 and of int4 values.
"""

from dataclasses import replace
from typing import Any

import torch
from one_shot import errors
from setting import begin, distance, finish, states, statistics

from lada.artifact.expected import expected_bytes
from lada.methods.groups import RatiosConfig, ScheduleConfig
from lada.methods.parts import Parts
from lada.methods.structures import Factorized, Words
from lada.nn.compressed import compressed_layers

DENSITIES = (1.0, 0.4, 0.25, 0.15, 0.1, 0.07)
TARGETS = (7.5, 10.0, 20.0)


def main() -> None:
    """Measure all densities at three targets; one line each, and a file of them."""
    setting = begin(__doc__)
    model, tokenizer, shown = setting.model, setting.tokenizer, setting.shown
    ours, other = statistics(setting)
    before = states(model, shown, tokenizer)
    parts = Parts("whitened", "activation", ours)
    parts = replace(parts, spectra=parts.spectra_of(model))
    (name,) = (m.name for m in parts.count(model).matrices if m.embedding)
    counts = [found.of(name).counts for found in (ours, other)]
    assert counts[0] is not None and counts[1] is not None
    unseen = (counts[0] == 0) & (counts[1] > 0)
    weight = model.get_submodule(name).weight.detach()[unseen]
    rows: list[dict[str, Any]] = []
    for target in TARGETS:
        for density in DENSITIES:
            method = Factorized(
                target,
                RatiosConfig(rule="scaled", pruning=2.5),
                ScheduleConfig(rounds=1),
                lower_rank="truncate",
                threshold="factor",
                words=Words(density),
                parts=parts,
            )
            plan = method.plan(model, 1)
            student = method.build(model, plan)
            method.compress_(student, plan.rounds[-1])
            encoder, words = errors(model, student, other)
            layer = compressed_layers(student)[name]
            wrong = layer.product().detach()[unseen] - weight
            assert plan.fractions is not None
            rows.append(
                {"target": target, "word_density": density, "rank": plan.ranks[name][-1],
                 "encoder": round(encoder, 4), "word_embeddings": round(words, 4),
                 "unseen_tokens": round(float(wrong.square().sum() / weight.square().sum()), 4),
                 "hidden_states": round(distance(before, states(student, shown, tokenizer)), 4),
                 "encoder_entries": sum(s.kept for s in plan.rounds[-1].shares if s.name != name),
                 "int8_bytes": expected_bytes(plan, model, "int8"),
                 "int4_bytes": expected_bytes(plan, model, "int4")}
            )  # fmt: skip
            print(rows[-1], flush=True)
    finish(rows, setting.out)


if __name__ == "__main__":
    with torch.no_grad():
        main()
