"""Markdown tables of this folder's records.

python experiments/size_and_speed/tables.py experiments/size_and_speed/*.json
"""

import json
import sys
from pathlib import Path
from typing import Any

from lada.report.markdown import table

ENCODINGS = {
    "dense_fp32": "dense fp32",
    "fp32_with_zeros": "fp32 with zeros",
    "zip_of_fp32_with_zeros": "zip of that",
    "csr_int32": "CSR int32 + fp32",
    "nonzeros_x32_bits": "non-zeros x 32 bits",
    "ours_fp32": "ours fp32",
    "ours_fp16": "ours fp16",
    "ours_int8": "**ours int8**",
    "entropy_int8": "entropy limit int8",
}


def sizes(record: dict[str, Any]) -> str:
    """Megabytes of each encoding, a column for each setting."""
    parts = []
    for ratios in ("printed", "paper"):
        found = [row for row in record["rows"] if row["ratios"] == ratios]
        header = [f"MB, ratios as {'printed' if ratios == 'printed' else 'solved'}"]
        header += [f"x{r['target']:g} (x{r['reached']:.2f})" for r in found]
        rows = [[name, *(f"{r[key] / 1e6:.1f}" for r in found)] for key, name in ENCODINGS.items()]
        last = [f"x{r['dense_fp32'] / r['ours_int8']:.1f}" for r in found]
        rows.append(["dense fp32 / ours int8", *last])
        rows.append(["decoding, MB/s", *(str(r["decode_megabytes_a_second"]) for r in found)])
        parts.append(table(header, rows))
    return "\n\n".join(parts)


def scores(record: dict[str, Any]) -> str:
    """Bytes and answers of each stored form."""
    dense = record["teacher_bytes"]
    rows = []
    for r in record["rows"]:
        low, high = (100 * bound for bound in r["accuracy_95"])
        rows.append([r["form"], f"{r['bytes']:,} (x{dense / r['bytes']:.1f})",
                     f"{100 * r['accuracy']:.1f} ({low:.1f}-{high:.1f})",
                     str(r["changed"])])  # fmt: skip
    count = record["rows"][0]["rows"]
    return table(["form", "bytes", "dev % (95 %)", f"changed of {count}"], rows)


def speed(record: dict[str, Any]) -> str:
    """Milliseconds of each engine, for the dense model and each setting."""
    parts = []
    for threads in sorted({row["threads"] for row in record["settings"][0]["rows"]}):
        found = [(s, _medians(s["rows"], threads)) for s in record["settings"]]
        engines = list(dict.fromkeys(engine for _, engine in found[0][1]))
        header = [f"ms, {threads} thread{'s' * (threads > 1)}", "dense"]
        header += [f"x{s['target']:g} {s['ratios']}" for s, _ in found]
        rows = []
        for engine in engines:
            # Measured again with every setting: the median of those.
            dense = sorted(times["dense", engine] for _, times in found)[len(found) // 2]
            ours = [_cell(times["dense", engine], times["artifact", engine]) for _, times in found]
            rows.append([engine, f"{dense:.0f}", *ours])
        best = [min(t["dense", e] for e in engines) / min(t["artifact", e] for e in engines)
                for _, t in found]  # fmt: skip
        rows.append(["best dense / best", "", *(f"x{ratio:.1f}" for ratio in best)])
        parts.append(table(header, rows))
    return "\n\n".join(parts)


def _medians(rows: list[dict[str, Any]], threads: int) -> dict[tuple[str, str], float]:
    return {(r["model"], r["engine"]): r["median"] for r in rows if r["threads"] == threads}


def _cell(dense: float, ours: float) -> str:
    return f"{ours:.0f} (x{dense / ours:.1f})"


def bench(record: dict[str, Any]) -> str:
    """One artifact and its teacher: milliseconds at batch 1, examples per second at batch 32."""
    rows = []
    found = {(r["engine"], r["threads"], r["batch"], r["length"], r["model"]): r["median"]
             for r in record["rows"]}  # fmt: skip
    cases = list(dict.fromkeys(key[1:4] for key in found))
    header = ["engine"]
    for threads, batch, length in cases:
        unit = "ms" if batch == 1 else "examples/s"
        header.append(f"{unit}, {threads} thr., {length} tok.")
    for engine in dict.fromkeys(key[0] for key in found):
        row = [engine]
        for case in cases:
            dense, ours = found[(engine, *case, "dense")], found[(engine, *case, "artifact")]
            shown = [
                f"{ms:.1f}" if case[1] == 1 else f"{1000 * case[1] / ms:.0f}"
                for ms in (dense, ours)
            ]
            row.append(f"{shown[0]} -> {shown[1]} (x{dense / ours:.1f})")
        rows.append(row)
    lines = [table(header, rows)]
    starts = {(s["engine"], s["model"]): s for s in record["starts"]}
    rows = []
    for engine in dict.fromkeys(key[0] for key in starts):
        dense, ours = starts[engine, "dense"], starts[engine, "artifact"]
        rows.append([engine, *(f"{a[key]:.{digits}f} -> {b[key]:.{digits}f}"
                     for key, digits in (("load_seconds", 2), ("peak_megabytes", 0))
                     for a, b in [(dense, ours)])])  # fmt: skip
    lines.append(table(["engine", "load, s", "peak memory, MB"], rows))
    return "\n\n".join(lines)


def main(files: list[str]) -> None:
    for file in files:
        record = json.loads(Path(file).read_text(encoding="utf-8"))
        kinds = {"settings": speed, "artifact": scores, "starts": bench}
        made = next((kinds[key] for key in kinds if key in record), sizes)
        print(f"{Path(file).name}\n\n{made(record)}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
