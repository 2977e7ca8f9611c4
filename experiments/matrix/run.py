"""Every family with every kind of task, in every exported form: `make test-matrix`.

Tiny random models of the real classes are compressed, stored, read, answered and exported, as in
tests/test_every_pair.py. Each pair is a process of its own.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FORMS = ("dense", "onnx", "openvino")
CLOSE = 1e-4
"""The largest difference of an output that is accepted, such as a logit."""


def check(family: str, kind: str) -> dict[str, Any]:
    """What became of one pair: the largest difference of each form, or the error."""
    sys.path.insert(0, str(ROOT / "tests"))
    from pairs import check_answers, check_sizes, check_stored, make_pair, rows_of

    import lada
    from lada.artifact.export import export

    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as work:
        try:
            pair = make_pair(family, kind, Path(work) / "artifact")
            check_sizes(pair)
            check_stored(pair)
            check_answers(pair)
        except Exception as error:  # any failure is a result here
            return {"artifact": f"{type(error).__name__}: {error}"[:200]}
        for form in FORMS:
            try:
                loaded = lada.load(pair.folder)
                made = export(loaded, form, Path(work) / form, examples=rows_of(kind))
                found[form] = made.difference
                if made.difference > CLOSE or made.changed:
                    found[form] = f"differs by {made.difference:.2g}, {made.changed} answers"
            except Exception as error:
                found[form] = f"{type(error).__name__}: {error}"[:200]
    return found


def in_a_process(pair: tuple[str, str]) -> dict[str, Any]:
    """`check` in a process of its own, whose memory is free afterwards."""
    command = [sys.executable, __file__, "--pair", *pair]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return {"artifact": done.stderr.strip()[-200:]}
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def table(results: dict[str, dict[str, Any]]) -> str:
    """Markdown: the largest difference over the forms, or which form fails."""
    kinds = list(dict.fromkeys(name.split("/")[1] for name in results))
    lines = ["| family | " + " | ".join(kinds) + " |", "|---" * (len(kinds) + 1) + "|"]
    for family in dict.fromkeys(name.split("/")[0] for name in results):
        cells = []
        for kind in kinds:
            found = results[f"{family}/{kind}"]
            wrong = [form for form, value in found.items() if isinstance(value, str)]
            cells.append(f"fails: {', '.join(wrong)}" if wrong else f"{max(found.values()):.0e}")
        lines.append(f"| {family} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> int:
    """0 if no pair fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pair", nargs=2, help="one family and kind, printed as JSON")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.pair:
        print(json.dumps(check(*arguments.pair)))
        return 0
    from lada.heads.kinds import KINDS
    from lada.nn.families import FAMILIES

    pairs = [(family, kind) for family in FAMILIES for kind in KINDS]
    results = {}
    with ThreadPoolExecutor(arguments.processes) as pool:
        for pair, found in zip(pairs, pool.map(in_a_process, pairs), strict=True):
            results["/".join(pair)] = found
            print("/".join(pair), found, flush=True)
    file = Path(__file__).with_name("results.json")
    file.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(table(results))
    return int(any(isinstance(v, str) for found in results.values() for v in found.values()))


if __name__ == "__main__":
    sys.exit(main())
