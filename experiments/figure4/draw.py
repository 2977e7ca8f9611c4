"""The paper's Figure 4: learning curves on QQP, drawn as Figure 3's (experiments/figure3/draw.py).

python experiments/figure4/draw.py
"""

import runpy
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main(arguments: list[str]) -> None:
    runpy.run_path(str(HERE.parent / "figure3/draw.py"))["main"](arguments, "qqp", HERE)


if __name__ == "__main__":
    main(sys.argv[1:])
