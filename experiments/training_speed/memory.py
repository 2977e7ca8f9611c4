"""Peak memory of one training step of BERT-base, batch 32, length 128, beside what it has to hold.

    python experiments/training_speed/memory.py --out experiments/training_speed/memory.json

What it has to hold: the teacher's and the student's weights, masks, both moments of AdamW, the
activations that the backward pass needs and both models' outputs; gradients come as activations
go. Activations are counted as autograd keeps them, each storage once, without weights, but with the
bf16 copies that autocast makes of those. Peak: of a process that has done several steps, less what
it held before there was a model.

Measured twice, in a process each: as malloc is (glibc), and with MALLOC_MMAP_THRESHOLD_=1000000,
by which it gives every large block back at once and leaves no holes. A last process counts what
torch itself holds at its highest.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from contest import method_for
from torch import Tensor
from transformers import BertConfig, BertForSequenceClassification

from lada.files import output_file
from lada.nn.capture import Outputs, forward, set_attention
from lada.probe import peak_bytes
from lada.report.record import machine, write_json
from lada.run.machine import has_bf16
from lada.training.optim import make_adamw

BATCH, LENGTH, STEPS = 32, 128, 5
SETTINGS = {"as_it_is": {}, "given_back_at_once": {"MALLOC_MMAP_THRESHOLD_": "1000000"}}


def held() -> int:
    """Bytes that this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


class Kept:
    """Counts the storages that autograd keeps for the backward pass, once each."""

    def __init__(self, without: set[int]):
        self._seen = set(without)
        self.bytes = 0

    def pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._seen:
            self._seen.add(storage.data_ptr())
            self.bytes += storage.nbytes()
        return tensor


def measure() -> dict[str, Any]:
    """Do several steps in this process."""
    before = held()
    torch.manual_seed(1)
    teacher = BertForSequenceClassification(BertConfig()).eval().requires_grad_(False)
    method = method_for(7.5, "solved")
    plan = method.plan(teacher, 1)
    student = method.build(teacher, plan)
    method.compress_(student, plan.rounds[-1])
    for model in (teacher, student):
        set_attention(model, "scores")
    optimizer = make_adamw(student, lr=1e-4, weight_decay=0.01)
    needs = {"hidden": True, "attentions": True}
    ids = torch.from_numpy(np.random.default_rng(1).integers(5, 30522, (BATCH, LENGTH)))
    batch = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "token_type_ids": torch.zeros_like(ids),
        "totals": torch.tensor([BATCH, BATCH * LENGTH, BATCH * LENGTH**2], dtype=torch.float32),
    }
    weights = {
        p.untyped_storage().data_ptr() for p in [*teacher.parameters(), *student.parameters()]
    }
    seconds = []
    for _ in range(STEPS):
        start = time.perf_counter()
        kept = Kept(weights)
        with (
            torch.autograd.graph.saved_tensors_hooks(kept.pack, lambda tensor: tensor),
            torch.autocast("cpu", torch.bfloat16, enabled=has_bf16("cpu")),
        ):
            with torch.no_grad():
                theirs = forward(teacher, batch, **needs)
            ours = forward(student, batch, **needs)
            terms = method.losses(ours, theirs, batch, 0.0)
            loss = torch.stack([weight * term for weight, term in terms.values()]).sum()
        activations = kept.bytes
        for tensor in all_of(ours):
            kept.pack(tensor)
        outputs = {"teacher": sum(t.numel() * t.element_size() for t in all_of(theirs))}
        outputs["student"] = kept.bytes - activations
        del ours, theirs, terms
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - start)
    size = sum(p.numel() * 4 for p in student.parameters())
    parts = {
        "teacher": sum(p.numel() * 4 for p in teacher.parameters()),
        "student": size,
        "masks": sum(b.numel() for b in student.buffers() if b.dtype == torch.bool),
        "adam": 2 * size,
        "activations": activations,
        "teacher_outputs": outputs["teacher"],
        "student_outputs": outputs["student"],  # those not among the activations
    }
    return {
        "bytes": parts,
        "sum": sum(parts.values()),
        "peak": peak_bytes() - before,
        "seconds_a_step": statistics.median(seconds[1:]),
    }


def all_of(outputs: Outputs) -> list[Tensor]:
    """Every tensor that a forward pass has given."""
    return [outputs.logits, *outputs.hidden, *outputs.attentions]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=output_file)
    args = parser.parse_args()
    if args.out is None:  # a child
        print(json.dumps(measure()))
        return
    record: dict[str, Any] = {
        "command": "python experiments/training_speed/memory.py --out memory.json",
        "machine": machine("cpu", torch.get_num_threads()),
        "batch": BATCH,
        "length": LENGTH,
    }
    for name, setting in SETTINGS.items():
        child = [sys.executable, __file__]
        env = os.environ | setting
        done = subprocess.run(child, env=env, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout)
        parts = found.pop("bytes")
        record |= {"bytes": parts, "sum": found.pop("sum")}
        record[name] = found | {"over": found["peak"] / record["sum"] - 1}
        print(name, json.dumps(record[name]), flush=True)
    write_json(args.out, record)
    for name, count in [*parts.items(), ("sum", record["sum"])]:
        print(f"{name:16s} {count / 1e9:6.2f} GB")


if __name__ == "__main__":
    main()
