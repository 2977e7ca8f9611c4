"""BERT-base by shapes: bytes and seconds of `lada` and `lada_plus`, on random weights.

    python experiments/ablation/bert_base.py experiments/ablation/bert_base.json

On one thread. The singular values of every matrix fall like those of a trained one; scores mean
nothing here. Seconds are of the same examples for both, in turns: what precedes the first step
(statistics of 256 examples, singular values, factors), and 24 steps of distillation of 8 examples
of 64 tokens in bf16, eight rounds in the first half, as a run has them.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import BertForSequenceClassification

sys.path.insert(0, str(Path(__file__).parents[2]))

import lada
from experiments.shapes import bert_base
from lada.artifact.expected import expected_bytes, ratio_for
from lada.files import output_file
from lada.methods.registry import find_method
from lada.methods.settings import Context, MethodSettings
from lada.ops.plan import Plan
from lada.report.record import machine, write_json

LENGTH, BATCH, STEPS, EXAMPLES = 64, 8, 24, 256
TARGETS = (7.5, 10.0, 20.0)


def batches(examples: int, rows: int) -> list[dict[str, torch.Tensor]]:
    """Random tokens, the frequent ones as often as in text: by their rank."""
    weights = 1.0 / torch.arange(1, 30_523)
    draw = torch.Generator().manual_seed(2)
    tokens = torch.multinomial(weights, examples * LENGTH, replacement=True, generator=draw)
    ids = tokens.view(-1, rows, LENGTH)
    return [{"input_ids": x, "attention_mask": torch.ones_like(x)} for x in ids]


def prepared(teacher: BertForSequenceClassification, method: str, **more: Any) -> lada.Compression:
    """The student before its first step, with what it needs."""
    if method == "lada_plus":
        more |= {"max_length": LENGTH, "batches": batches(EXAMPLES, 32)}
    return lada.prepare(teacher, steps=STEPS, method=method, **more)


def sizes(teacher: BertForSequenceClassification) -> list[dict[str, Any]]:
    """Expected bytes at each target, and the ratio of a 50th of the teacher's bytes, by shapes."""
    out = []
    fiftieth = 4 * sum(p.numel() for p in teacher.parameters()) / 50 / 1e6
    for name in ("lada", "lada_plus"):
        settings = find_method(name)()

        def plan_at(target: float, settings: MethodSettings = settings) -> Plan:
            return settings.make(Context(target, length=128)).plan(teacher, 1)

        for values in ("int8", "int4"):
            for target in (*TARGETS, ratio_for(fiftieth, plan_at, teacher, values)):
                plan = plan_at(target)
                size = expected_bytes(plan, teacher, values)
                row = {"method": name, "target": target, "values": values, "bytes": size}
                out.append(row | {"nonzeros": plan.rounds[-1].nonzeros})
                print(out[-1], flush=True)
    return out


@contextmanager
def clocked(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Add the seconds of the block."""
    started = time.perf_counter()
    yield
    seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - started


def times(teacher: BertForSequenceClassification, method: str) -> dict[str, float]:
    """Seconds of one short training."""
    seconds: dict[str, float] = {}
    with clocked(seconds, "before"):
        compression = prepared(teacher, method, target=7.5)
    optimizer = torch.optim.AdamW(compression.model.parameters(), lr=1e-4)
    for step, batch in enumerate(batches(STEPS * BATCH, BATCH)):
        with clocked(seconds, "rounds"):
            compression.before_step(step, optimizer)
        with clocked(seconds, "steps"):
            with torch.autocast("cpu", torch.bfloat16):
                loss = compression.distillation_loss(batch, teacher=teacher)
            loss.backward()
            compression.after_backward()
            optimizer.step()
            optimizer.zero_grad()
    return seconds


def main() -> None:
    """Write the record."""
    file = output_file(sys.argv[1])
    torch.set_num_threads(1)
    teacher = bert_base()
    record: dict[str, Any] = {
        "command": f"python experiments/ablation/bert_base.py {Path(sys.argv[1]).name}",
        "machine": machine("cpu", 1),
        "setting": {"length": LENGTH, "batch": BATCH, "steps": STEPS, "examples": EXAMPLES},
        "seconds": {"lada": [], "lada_plus": []},
    }
    record["sizes"] = sizes(teacher)
    for _ in range(2):
        for method, found in record["seconds"].items():
            found.append(times(teacher, method))
            print(method, found[-1], flush=True)
            write_json(file, record)


if __name__ == "__main__":
    main()
