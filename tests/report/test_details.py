"""What a run writes for its report, and that a report never fails a run."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from heads.drawn import CASES, whole
from helpers import Result, run_in
from safetensors.torch import load_file

from lada.ops.metrics.calibration import BINS
from lada.run.details import write_report


def test_a_run_ends_with_its_report(
    train_py: Callable[..., Result], tiny: list[str], teachers: Path, tmp_path: Path, csv_files
) -> None:
    result = train_py(*tiny, "report.examples=true")
    assert result.code == 0, result.err
    folder = run_in(tmp_path / "out")
    assert f"report:   {folder}/report.html" in result.out
    record = json.loads((folder / "results.json").read_text())
    details = json.loads((folder / "details.json").read_text())

    # The file has no other bytes than those of its tensors, vectors included, and a header.
    matrices = {m["name"]: m for m in details["matrices"]}
    assert sum(m["stored_bytes"] for m in matrices.values()) < record["artifact"]["stored_bytes"]
    weights = load_file(teachers / record["teacher"]["key"] / "model.safetensors")
    ranked = [name for name, m in matrices.items() if m["rank"] is not None]
    assert "bert.embeddings.word_embeddings" in ranked and len(ranked) > 10
    for name in ranked:
        m = matrices[name]
        values = torch.linalg.svdvals(weights[f"{name}.weight"].double())
        kept = float(values[: m["rank"]].square().sum() / values.square().sum())
        assert m["energy"] == pytest.approx(kept, abs=1e-6)
        assert [place for place, _ in m["spectrum"]][:: len(m["spectrum"]) - 1] == [1, len(values)]
        for place, value in m["spectrum"]:
            assert value == pytest.approx(float(values[place - 1] / values[0]), abs=1e-5)

    split = details["splits"]["dev"]
    scores = {who: record[who]["scores"]["dev"] for who in ("teacher", "artifact")}
    changed = split["changed"]
    assert changed["rows"] == scores["artifact"]["rows"]
    net = scores["artifact"]["correct"] - scores["teacher"]["correct"]
    assert changed["gained"] - changed["lost"] == net
    assert len(changed["examples"]) == min(50, changed["changed"])
    for who, score in scores.items():
        assert split["calibration"][who]["right"] == pytest.approx(score["accuracy"])
    page = (folder / "report.html").read_text()
    texts = csv_files[1].read_text()
    assert all(each["texts"][0] in texts for each in changed["examples"])
    assert all(f'id="{name}"' in page for name in ("curves", "matrices", "spectra", "errors-0",
                                                   "changed-0", "calibration-0"))  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_every_kind_shows_agrees_with_its_scores(case: str) -> None:
    drawn = whole(case)
    parts = drawn.outputs, drawn.examples, drawn.split
    shown, score = drawn.head.shown(*parts), drawn.score()
    assert (shown is None) == (not drawn.head.decides)
    if shown is not None:
        assert len(shown) == len(drawn.split)
        for name in ("accuracy", "exact_match"):
            if name in score:
                assert sum(each.right for each in shown) == pytest.approx(score[name] * len(shown))
        if drawn.head.name != "spans":  # which may have several right answers
            assert all(each.right == (each.answer == each.label) for each in shown)
    found = drawn.head.confidences(*parts)
    assert (found is None) == (drawn.head.name not in ("single_label", "multi_label", "tokens"))
    if found is not None:
        p, right = found
        assert p.shape == right.shape and (p >= 0).all() and (p <= 1).all()
        for name in ("accuracy", "token_accuracy"):
            if name in score:
                assert right.mean() == pytest.approx(score[name])
        # Some are sure and some are not, so that the bins differ.
        assert len({int(value * BINS) for value in p}) > 3


def test_a_report_that_cannot_be_drawn_is_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "results.json").write_text("{}")
    with caplog.at_level(logging.WARNING, logger="lada"):
        write_report(tmp_path)
    (line,) = caplog.messages
    assert line.startswith("report.html: cannot be made") and "\n" not in line
