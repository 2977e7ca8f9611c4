"""How many entries each matrix keeps: the error of the whole student in one shot.

    python experiments/ablation/one_shot_thresholds.py SST2 OUT.json

Factors of the pretrained MiniLM are pruned to the same number of entries with each
``method.threshold``, by two scores: as in one_shot.py, the hidden states of the whole student are
compared on 256 other sentences.
"""

import copy
from typing import Any

from setting import batches, begin, distance, finish, states

from lada.methods.groups import RatiosConfig, ScheduleConfig
from lada.methods.parts import Parts
from lada.methods.structures import Factorized
from lada.nn.compressed import compressed_layers
from lada.nn.statistics import gather

THRESHOLDS = ("factor", "global", "proportional")
SCORES = ("magnitude", "activation")


def main() -> None:
    """Measure all cases at three targets; one line each, and a file of them."""
    setting = begin(__doc__)
    model, tokenizer, shown = setting.model, setting.tokenizer, setting.shown
    statistics = gather(model, batches(setting.seen, tokenizer))
    before = states(model, shown, tokenizer)
    rows: list[dict[str, Any]] = []
    for target in (7.5, 10.0, 20.0):
        ratios, schedule = RatiosConfig(rule="scaled"), ScheduleConfig(rounds=1)
        built: Any = None
        for score in SCORES:
            for threshold in THRESHOLDS:
                parts = Parts("whitened", score, statistics)
                method = Factorized(
                    target,
                    ratios,
                    schedule,
                    lower_rank="truncate",
                    threshold=threshold,
                    parts=parts,
                )
                plan = method.plan(model, 1)
                built = method.build(model, plan) if built is None else built
                student = copy.deepcopy(built)
                method.compress_(student, plan.rounds[-1])
                masks = [
                    float(getattr(layer, mask).double().mean())
                    for layer in list(compressed_layers(student).values())[1:]
                    for mask in layer.masks.values()
                ]
                after = distance(before, states(student, shown, tokenizer))
                rows.append(
                    {"target": target, "score": score, "threshold": threshold,
                     "densities": [round(min(masks), 3), round(max(masks), 3)],
                     "hidden_states": round(after, 4)}
                )  # fmt: skip
                print(rows[-1], flush=True)
    finish(rows, setting.out)


if __name__ == "__main__":
    main()
