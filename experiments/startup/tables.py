"""The table of README.md, made from results.json: python experiments/startup/tables.py"""

import json
from pathlib import Path
from statistics import median
from typing import Any

from lada.report.markdown import put, table

HERE = Path(__file__).parent
TORCH = 'python -c "import torch"'
RATIO = ", to `import torch`"


def startup(record: dict[str, Any]) -> str:
    """Median seconds of each command, those of CPU time, and the ratio to ``import torch``."""
    measured = record["seconds"]
    medians = {
        which: {
            name: [median(part) for part in zip(*runs, strict=True)] for name, runs in of.items()
        }
        for which, of in measured.items()
    }
    unit = medians["now"][TORCH][0]
    lines = []
    for name in medians["now"]:
        line = [f"`{name}`"]
        for which in ("before", "now"):
            if name in medians[which]:
                wall, cpu = medians[which][name]
                line += [f"{wall:.2f} s", f"{cpu:.2f} s", f"x{wall / unit:.2f}"]
            else:
                line += ["", "", ""]
        lines.append(line)
    header = [
        "",
        *(f"{which}{part}" for which in ("before", "now") for part in ("", ", CPU", RATIO)),
    ]
    first, last = record["load"]
    about = (
        f"Medians of {len(measured['now'][TORCH])} rounds. The load of the machine, which has "
        f"{record['machine']['cores']} cores, was {first:.1f} at the start and {last:.1f} at the "
        "end;\nthis measurement's own processes, one at a time, are 1 of it.\n"
    )
    return f"{table(header, lines)}\n\n{about}"


if __name__ == "__main__":
    record = json.loads((HERE / "results.json").read_text(encoding="utf-8"))
    marks = ("<!-- startup: made by tables.py -->", "<!-- end of startup -->")
    put(HERE / "README.md", marks, startup(record))
