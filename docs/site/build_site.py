"""Build the site from the pages: ``python docs/site/build_site.py``, which is ``make docs``.

It needs no network, and neither does what it builds. Any warning of Zensical, and anything that
`check_site.problems` finds in the result, is an error.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from check_site import problems
from stage_site import stage

COLOUR = re.compile(r"\x1b\[[\d;]*m")
SHIM = "https://unpkg.com/iframe-worker/shim"
"""A script from another host, by which the search works in pages that are opened as files."""
HERE = Path(__file__).resolve().parent


def build(root: Path, work: Path) -> list[str]:
    """Build the pages of the repository at ``root`` into ``work / "site"``.

    Returns:
        What is wrong, one line each; [] if nothing is.
    """
    site = work / "site"
    shutil.rmtree(site, ignore_errors=True)
    stage(root, work / "build/docs")
    if work != root:
        shutil.copyfile(root / "mkdocs.yml", work / "mkdocs.yml")
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    env = os.environ | {"PYTHONPATH": str(HERE)}  # of formulas.py
    done = subprocess.run(command, cwd=work, env=env, text=True, capture_output=True, check=False)
    if done.returncode:
        return [*COLOUR.sub("", done.stdout + done.stderr).splitlines(), "zensical has failed"]
    for page in site.rglob("*.html"):
        ours = "../" * (len(page.relative_to(site).parts) - 1) + "worker.js"
        page.write_text(page.read_text(encoding="utf-8").replace(SHIM, ours), encoding="utf-8")
    return problems(site)


def main() -> None:
    """Exit code 1 and the list of problems if there are any."""
    root = HERE.parent.parent
    found = build(root, root)
    print("\n".join(found) if found else f"built: {root / 'site/index.html'}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
