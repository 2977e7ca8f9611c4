"""report.html: what is drawn of every kind of run, what is left out, and what is escaped."""

import json
import math
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heads.drawn import CASES, Drawn, whole
from report.made import write_run
from sklearn.metrics import confusion_matrix

from lada.report.page import write_page
from lada.report.page.errors import confusion
from lada.report.page.markup import Markup, join, tag
from lada.report.page.svg import Scale, ends, frame, spread
from lada.report.page.tradeoff import front
from lada.run.details import changed, details_of_split

EVIL = "<script>window.evil = 1</script><img src=x onerror='window.evil = 1'>\"&"
VOID = {"meta", "br", "!doctype"}


class Checked(HTMLParser):
    """Elements are closed in order; counts them, and collects ids and what is linked."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.count: dict[str, int] = {}
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            assert name not in ("src", "style", "srcset", "xlink:href"), (tag, name)
            if name in ("d", "x", "y", "cx", "cy", "r", "x1", "x2", "y1", "y2", "width"):
                assert "nan" not in str(value) and "inf" not in str(value), (tag, name, value)
            if name == "id":
                self.ids.append(str(value))
            if name == "href":
                self.links.append(str(value))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.text += data


def checked(file: Path) -> Checked:
    found = Checked()
    found.feed(file.read_text(encoding="utf-8"))
    found.close()
    assert found.open == [] and found.count["script"] == found.count["style"] == 1
    assert len(set(found.ids)) == len(found.ids)
    assert {link[1:] for link in found.links if link[0] == "#"} <= set(found.ids)
    return found


def details_of(models: dict[str, Drawn], *, texts: bool) -> dict[str, Any]:
    """What a run writes of its dev split, with two matrices."""
    teacher = models["teacher"]
    of_split = details_of_split(
        {who: drawn.head for who, drawn in models.items()},
        {who: drawn.outputs for who, drawn in models.items()},
        {who: drawn.examples for who, drawn in models.items()},
        teacher.split,
        texts=texts,
    )
    common = {"values": "int8", "kind": "factors", "density": 0.5, "stored_bytes": 100}
    spectrum = {"spectrum": [[1, 1.0], [2, 0.5], [4, 0.0]], "energy": 0.8}
    matrices = [
        common | spectrum | {"name": "bert.embeddings.word_embeddings", "shape": [9, 4], "rank": 2},
        common | {"name": "bert.encoder.layer.0.output.dense", "shape": [4, 8], "rank": None},
        common | spectrum | {"name": "bert.encoder.layer.1.output.dense", "shape": [4, 8],
                             "rank": 1},
    ]  # fmt: skip
    return {"matrices": matrices, "splits": {"dev": of_split}}


def made(folder: Path, case: str, *, texts: bool = True, **names: Any) -> Path:
    """The folder of a run of a case, with curves and details; ``names`` replace in its record."""
    models = {"teacher": whole(case, 0.3), "artifact": whole(case, 0.6, 1)}
    write_run(folder, models, "lada", 1)
    metric = models["teacher"].head.chosen_by.name
    lines = [f"epoch,ratio,step,train/loss,train/hidden,validation/{metric}"]
    lines += [f"0,{ratio},{step},,,{score}" for ratio, step, score in ((3, 49, 0.5), (5, 99, 0.7))]
    lines += ["0,,9,2.5,1.5,", "0,,19,1.5,0.5,", "0,,29,nan,0.5,", "0,,19,truncat"]
    (folder / "metrics.csv").write_text("\n".join(lines))
    (folder / "times.csv").write_text("step,seconds\n50,1.5\n100,3.0\n")
    (folder / "details.json").write_text(json.dumps(details_of(models, texts=texts)))
    record = json.loads((folder / "results.json").read_text())
    record |= {"steps": 100, "labels": list(models["teacher"].head.labels)}
    record["plan"]["rounds"] = [{"step": 0, "ratio": 3.0}, {"step": 50, "ratio": 5.0}]
    record["artifact"]["validation_score"] = 0.7
    (folder / "results.json").write_text(json.dumps(record | names))
    return folder


HAS = {
    "single_label": {"errors-0", "changed-0", "calibration-0"},
    "multi_label": {"errors-0", "changed-0", "calibration-0"},
    "tokens": {"errors-0", "changed-0", "calibration-0"},
    "spans": {"changed-0"},
    "regression": {"errors-0"},
    "embedding": {"errors-0"},
}


@pytest.mark.parametrize("case", CASES)
def test_the_page_of_every_kind(tmp_path: Path, case: str) -> None:
    file = write_page(made(tmp_path / "run", case))
    found = checked(file)
    kind = case.partition(",")[0]
    expected = set() if case == "regression, map" else HAS[kind]
    of_all = {"curves", "matrices", "spectra", "about"}
    sections = {name for name in found.ids if not name.startswith(("text-", "tip", "figures"))}
    assert sections == of_all | expected
    assert found.count["svg"] >= 5 and "Content-Security-Policy" in file.read_text()
    assert file.stat().st_size < 2e6


@pytest.mark.parametrize(
    "case", ["single_label, accuracy", "tokens, entity_f1", "spans, answer_f1"]
)
def test_examples_are_shown_only_where_they_were_kept(tmp_path: Path, case: str) -> None:
    text = whole(case).split.texts[0]
    for texts in (True, False):
        folder = made(tmp_path / str(texts), case, texts=texts)
        file = json.loads((folder / "details.json").read_text())["splits"]["dev"]["changed"]
        assert ("examples" in file) == texts
        page = checked(write_page(folder))
        assert ("examples whose answer changed" in page.text) == texts
        assert ("report.examples=true" in page.text) != texts
        if texts:
            shown = [each["texts"][0] for each in file["examples"]]
            assert len(shown) == min(50, file["changed"]) and text in whole(case).split.texts
            assert all(each in page.text for each in shown)


def test_a_run_of_an_older_version_has_a_sentence_in_place_of_sections(tmp_path: Path) -> None:
    folder = made(tmp_path / "run", "single_label, accuracy")
    (folder / "details.json").unlink()
    (folder / "metrics.csv").unlink()
    page = checked(write_page(folder))
    assert "Left out: Learning curves; Where the bytes are; Singular values" in page.text
    assert "errors-0" in page.ids and "matrices" not in page.ids


def evil_run(folder: Path) -> Path:
    """A run whose every text that a stranger may choose has markup in it."""
    case = "single_label, accuracy"
    made(folder, case, labels=[f"{EVIL}{n}" for n in range(3)], command=EVIL, warnings=[EVIL])
    record = json.loads((folder / "results.json").read_text())
    record["config"]["task"]["name"] = record["config"]["method"]["name"] = EVIL
    record["config"]["model"]["name"] = record["machine"]["cpu"] = record["precision"] = EVIL
    for who in ("teacher", "artifact"):
        record[who]["scores"] = {EVIL: record[who]["scores"]["dev"]}
    record["data"][EVIL] = record["data"].pop("dev")
    (folder / "results.json").write_text(json.dumps(record))
    details = json.loads((folder / "details.json").read_text())
    for n, matrix in enumerate(details["matrices"]):
        matrix |= {"name": f"{EVIL}.{n}", "kind": EVIL, "values": EVIL}
    split = details["splits"].pop("dev")
    for each in split["changed"]["examples"]:
        each |= {"texts": [EVIL, EVIL], "label": EVIL, "teacher": EVIL, "artifact": EVIL}
    details["splits"][EVIL] = split
    (folder / "details.json").write_text(json.dumps(details))
    return folder


def test_texts_of_a_run_become_no_elements(tmp_path: Path) -> None:
    folder = evil_run(tmp_path / "evil<b>")
    page = checked(write_page(folder))
    assert "img" not in page.count and page.text.count("<script>window.evil") > 20
    (folder / "predictions.safetensors").unlink()  # a sweep cannot read it, and names it
    made(tmp_path / "good", "single_label, accuracy")
    page = checked(write_page(tmp_path))
    assert "evil<b>: cannot be read" in page.text and "b" not in page.count


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"config": 1}', "[" * 100_000, '{"teacher": {"scores": []}}', "\udcff"],
)
def test_what_is_no_record_is_said_in_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "results.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match="cannot be drawn") as error:
        write_page(tmp_path)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("field", ["steps", "plan", "speed", "artifact", "teacher", "labels"])
@pytest.mark.parametrize("value", [None, "x", [], {}, math.nan, -1])
def test_a_field_of_another_type_is_drawn_or_rejected(
    tmp_path: Path, field: str, value: Any
) -> None:
    folder = made(tmp_path / "run", "single_label, accuracy", **{field: value})
    said = ""
    try:
        checked(write_page(folder))
    except ValueError as error:
        said = str(error)
    assert not said or "cannot be drawn" in said


def test_many_long_labels_stay_small(tmp_path: Path) -> None:
    names = [f"{n} {'<&' * 500}" for n in range(2000)]
    folder = made(tmp_path / "run", "single_label, accuracy", labels=names)
    file = write_page(folder)
    assert file.stat().st_size < 2e6
    assert "labels that changed less are left out" in checked(file).text


def test_a_sweep_opens_with_the_choice_and_leads_to_its_runs(tmp_path: Path) -> None:
    case = "single_label, accuracy"
    made(tmp_path / "sweep" / "first", case)
    made(tmp_path / "sweep" / "second: 1", case, seed=2)
    made(tmp_path / "sweep" / "other", "regression, pearson")
    write_page(tmp_path / "sweep" / "second: 1")
    page = checked(write_page(tmp_path / "sweep"))
    assert page.text.index("Take run 1, lada") < page.text.index("Runs: ")
    assert "2 runs on task of single_label by accuracy" in page.text
    assert "1 runs on task of regression by Pearson" in page.text
    assert [link for link in page.links if link[0] != "#"] == ["./second%3A%201/report.html"]


def test_a_plain_text_is_escaped_and_markup_is_not() -> None:
    inner = tag("b", "x & y")
    assert tag("p", inner, "<i>", None, class_="a") == '<p class="a"><b>x &amp; y</b>&lt;i&gt;</p>'
    assert tag("a", href='"><b', hidden=True, id=None) == '<a href="&quot;&gt;&lt;b" hidden></a>'
    assert isinstance(join("a"), Markup) and not isinstance(Markup("a") + "<", Markup)


def test_scales_reach_both_ends_and_have_round_ticks() -> None:
    for log in (False, True):
        scale = Scale(0.5, 40.0, 10.0, 110.0, log)
        assert (scale(0.5), scale(40.0)) == (10.0, pytest.approx(110.0))
        assert 3 <= len(scale.ticks()) <= 6 and all(0.5 <= t <= 40.0001 for t in scale.ticks())
    assert Scale(0, 1, 0, 1).ticks(5) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert Scale(0.001, 1, 0, 1, log=True).ticks(5) == pytest.approx([0.001, 0.01, 0.1, 1])
    low, high = spread([3.0, 3.0])
    assert low < 3.0 < high


def test_labels_at_the_ends_of_lines_do_not_touch() -> None:
    of = frame("", "", (0, 1), (0, 1), "", "")
    labels = [(0.5, "a", ""), (0.5, "b", ""), (0.51, "c", ""), (0.0, "d", ""), (0.01, "e", "")]
    heights = sorted(float(y) for y in re.findall(r' y="([\d.]+)"', ends(of, labels)))
    assert len(heights) == len(labels) and heights[-1] < of.y.start + 4
    assert all(b - a >= 10.9 for a, b in pairwise(heights))


def test_the_front_is_what_no_other_point_beats() -> None:
    draw = np.random.default_rng(0)
    costs, scores = draw.random(40).round(1).tolist(), draw.random(40).round(1).tolist()
    found = {(costs[n], scores[n]) for n in front(costs, scores)}
    points = set(zip(costs, scores, strict=True))
    assert found == {
        p for p in points
        if not any(o[0] <= p[0] and o[1] >= p[1] and o != p for o in points)
    }  # fmt: skip


def test_confusion_counts_as_scikit_learn_does() -> None:
    pairs = np.random.default_rng(0).integers(0, 4, (200, 2))
    expected = confusion_matrix(pairs[:, 1], pairs[:, 0], labels=range(4))
    assert (confusion(pairs, 4) == expected).all()


def test_changed_answers_are_counted_by_who_is_right() -> None:
    from lada.heads.base import Shown

    theirs = [Shown("a", "a", True), Shown("b", "a", False), Shown("a", "b", False),
              Shown("a", "a", True), Shown("x", "y", True)]  # fmt: skip
    ours = [Shown("b", "a", False), Shown("a", "a", True), Shown("c", "b", False),
            Shown("a", "a", True), Shown("z", "y", True)]  # fmt: skip
    found = changed(theirs, ours, None)
    assert found == {"rows": 5, "changed": 4, "lost": 1, "gained": 1, "neither": 1, "both": 1}
