"""The trained variants as a table: python experiments/ablation/table.py sst2

p: of the paired test on dev against the first variant; empty where a record does not have which
examples are right.
"""

import json
import sys
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from run import HERE, record_file

from lada.report.differences import difference
from lada.report.table import deciding


def is_paired(record: dict[str, Any]) -> bool:
    """Whether a record has what a paired test needs."""
    return "correct" in record["artifact"] or "units" in record["artifact"]


def main(task: str, seeds: list[str]) -> None:
    """A line per variant: means over the seeds that were run; the validation split decides."""
    variants = OmegaConf.to_container(OmegaConf.load(HERE / "variants.yaml"))
    assert isinstance(variants, dict)
    print("| | ratio | file | validation | dev | p | seeds |\n|---|---:|---:|---:|---:|---:|---:|")
    reference: dict[int, dict[str, Any]] = {}
    for variant in variants:
        files = [record_file(HERE / "records", task, variant, seed) for seed in seeds]
        found = [json.loads(Path(f).read_text(encoding="utf-8")) for f in files if f.exists()]
        if not found:
            continue
        metric = deciding(found[0])
        split = next(iter(found[0]["artifact"]["scores"]))
        count = len(found)
        validation = sum(r["artifact"]["validation_score"] for r in found) / count
        dev = sum(r["artifact"]["scores"][split][metric.name] for r in found) / count
        size = sum(r["artifact"]["stored_bytes"] for r in found) / count / 1e6
        by_seed = {r["seed"]: r for r in found if is_paired(r)}
        if variant == next(iter(variants)):
            reference = by_seed
        pairs = [(by_seed[seed], reference[seed]) for seed in by_seed if seed in reference]
        p = difference(pairs, split)[1] if pairs and by_seed is not reference else None
        print(
            f"| {variant} | x{found[0]['reached']:.2f} | {size:.2f} MB "
            f"| {metric.shown(validation)} | {metric.shown(dev)} "
            f"| {'' if p is None else '< 0.0001' if p < 1e-4 else f'{p:.2g}'} | {count} |"
        )


if __name__ == "__main__":
    main(sys.argv[1], ["1", "2", "3"])
