"""examples/quickstart.ipynb, executed in a kernel of its own."""

from pathlib import Path

import nbformat
import pytest
from helpers import ROOT
from nbclient import NotebookClient


@pytest.mark.slow
def test_quickstart_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    book = nbformat.read(ROOT / "examples" / "quickstart.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in book.cells)
    client = NotebookClient(book, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()  # an exception in a cell is one here
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    pages = [o["data"]["text/html"] for o in outputs if "text/html" in o.get("data", {})]
    assert any("nonzero parameters" in page and "4.00x smaller" in page for page in pages)
    shown = "".join(
        str(o.get("text", "")) + str(o.get("data", {}).get("text/plain", "")) for o in outputs
    )
    assert "compression:" in shown  # the bar of the notebook
    assert "Error" not in shown
