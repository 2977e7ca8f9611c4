"""The trained variants as a table: python experiments/ablation/table.py sst2"""

import json
import sys
from pathlib import Path

from omegaconf import OmegaConf
from run import HERE, record_file

from lada.report.table import deciding


def main(task: str, seeds: list[str]) -> None:
    """A line per variant: means over the seeds that were run; the validation split decides."""
    variants = OmegaConf.to_container(OmegaConf.load(HERE / "variants.yaml"))
    assert isinstance(variants, dict)
    print("| | ratio | file | validation | dev | seeds |\n|---|---:|---:|---:|---:|---:|")
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
        print(
            f"| {variant} | x{found[0]['reached']:.2f} | {size:.2f} MB "
            f"| {metric.shown(validation)} | {metric.shown(dev)} | {count} |"
        )


if __name__ == "__main__":
    main(sys.argv[1], ["1", "2", "3"])
