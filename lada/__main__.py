"""``python -m lada``: the `lada` command. It can also be run by its path, from any folder."""

import sys
from pathlib import Path

if not __package__:  # run by its path: lada may be where Python does not look
    root = str(Path(__file__).parent.parent)
    if root not in sys.path:
        sys.path.insert(0, root)

from lada.cli import main

if __name__ == "__main__":
    main()
