"""The trained variants as a table: python experiments/ablation/table.py sst2 ["lada_plus, lr 1e-3"]

p: of the paired test on dev against the variant that is named, or else the first one; empty where
a record does not have which examples are right.
"""

import json
import sys
from typing import Any

from omegaconf import OmegaConf
from run import HERE, record_file

from lada.report.differences import difference
from lada.report.table import deciding

SEEDS = ("1", "2", "3")


def is_paired(record: dict[str, Any]) -> bool:
    """Whether a record has what a paired test needs."""
    return "correct" in record["artifact"] or "units" in record["artifact"]


def records(task: str, variant: str) -> dict[int, dict[str, Any]]:
    """The records of a variant, by seed."""
    files = [record_file(HERE / "records", task, variant, seed) for seed in SEEDS]
    found = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.exists()]
    return {record["seed"]: record for record in found}


def main(task: str, compared_with: str | None = None) -> None:
    """A line per variant: means over the seeds that were run; the validation split decides."""
    variants = OmegaConf.to_container(OmegaConf.load(HERE / "variants.yaml"))
    assert isinstance(variants, dict)
    reference_name = compared_with or str(next(iter(variants)))
    reference = records(task, reference_name)
    print("| | ratio | file | validation | dev | p | seeds |\n|---|---:|---:|---:|---:|---:|---:|")
    for variant in variants:
        by_seed = records(task, variant)
        found = list(by_seed.values())
        if not found:
            continue
        metric = deciding(found[0])
        split = next(iter(found[0]["artifact"]["scores"]))
        count = len(found)
        validation = sum(r["artifact"]["validation_score"] for r in found) / count
        dev = sum(r["artifact"]["scores"][split][metric.name] for r in found) / count
        size = sum(r["artifact"]["stored_bytes"] for r in found) / count / 1e6
        both = [(by_seed[seed], reference[seed]) for seed in by_seed if seed in reference]
        pairs = [pair for pair in both if all(map(is_paired, pair))]
        p = difference(pairs, split)[1] if pairs and variant != reference_name else None
        print(
            f"| {variant} | x{found[0]['reached']:.2f} | {size:.2f} MB "
            f"| {metric.shown(validation)} | {metric.shown(dev)} "
            f"| {'' if p is None else '< 0.0001' if p < 1e-4 else f'{p:.2g}'} | {count} |"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
