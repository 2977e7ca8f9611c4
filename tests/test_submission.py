"""submit=true: what GLUE's server gets, and what is rejected before anything is trained."""

import csv
import json
import runpy
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import ROOT, Result, record_of, run_in, sentences
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

import lada
from lada.config import check
from lada.data.glue import load_tests
from lada.data.tasks import TASKS
from lada.errors import LadaError
from lada.run.identity import run_key
from lada.run.sweep import _place_of

Cli = Callable[..., Result]
MNLI = (
    "index promptID pairID genre sentence1_binary_parse sentence2_binary_parse sentence1_parse "
    "sentence2_parse sentence1 sentence2"
).split()
# Headers of the official test files.
HEADERS = {
    "sst2": "index sentence".split(),
    "mnli": MNLI,
    "qqp": "id question1 question2".split(),
    "qnli": "index question sentence".split(),
    "cola": "index sentence".split(),
    "stsb": "index genre filename year old_index source1 source2 sentence1 sentence2".split(),
}


def write(file: Path, header: list[str], rows: list[dict[str, str]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [header, *([row.get(column, "other") for column in header] for row in rows)]
    file.write_text("".join("\t".join(line) + "\n" for line in lines), encoding="utf-8")


def write_tests(folder: Path, task: str, count: int = 30) -> None:
    """Official test files with made-up rows, numbered from 0."""
    spec = TASKS[task]
    for seed, (stem, _) in enumerate(spec.tests):
        rows = []
        for number, (text, _) in enumerate(sentences(count, seed)):
            row = dict.fromkeys(spec.columns, text)
            rows.append(row | {spec.test_id: str(number), spec.columns[-1]: f'"{text} {number}'})
        write(folder / spec.folder / f"{stem}.tsv", HEADERS[task], rows)


def write_task(folder: Path, task: str) -> None:
    """Train and dev files too, with as many classes as the task has."""
    spec = TASKS[task]
    for seed, name in enumerate(("train", *spec.dev_splits)):
        count = 300 if name == "train" else 40
        rows = []
        for text, word in sentences(count, seed):
            third = len(spec.labels) == 3 and {"fine", "poor"} & set(text.split())
            label = "2" if third else str(int(word == "good"))
            rows.append(dict.fromkeys(spec.columns, text) | {"label": label})
        write(folder / spec.folder / f"{name}.tsv", [*spec.columns, "label"], rows)


@pytest.fixture
def glue(tiny: list[str]) -> list[str]:
    """Overrides of a run of seconds on a GLUE task."""
    return [a for a in tiny if not a.startswith("task")] + [
        "task.max_length=32",
        "teacher.epochs=12",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "names"),
    [
        ("sst2", ["SST-2"]),
        ("mnli", ["MNLI-m", "MNLI-mm"]),
        ("cola", ["CoLA"]),
    ],
)
def test_files_for_the_server(
    train_py: Cli, glue: list[str], tmp_path: Path, task: str, names: list[str]
) -> None:
    write_task(tmp_path / "glue", task)
    write_tests(tmp_path / "glue", task)
    args = [*glue, f"task={task}", f"data.dir={tmp_path}/glue", "submit=true"]
    result = train_py(*args)
    assert result.code == 0, result.err
    folder = run_in(tmp_path / "out")
    assert "submission" in record_of(tmp_path / "out")["seconds"]
    out = folder / "submission"
    assert f"for GLUE: {out}" in result.out
    assert sorted(f.name for f in out.iterdir()) == sorted(
        [*(f"{name}.tsv" for name in names), "submission.zip"]
    )
    classifier = lada.load(folder / "artifact")
    spec = TASKS[task]
    words = {"sst2": {"negative": "0", "positive": "1"},
             "qqp": {"not_duplicate": "0", "duplicate": "1"},
             "cola": {"unacceptable": "0", "acceptable": "1"}}.get(task, {})  # fmt: skip
    for (stem, _), name in zip(spec.tests, names, strict=True):
        data = (out / f"{name}.tsv").read_bytes()
        assert b"\r" not in data
        head, *rows = [line.split("\t") for line in data.decode().splitlines()]
        assert head == ["index", "prediction"]
        assert [number for number, _ in rows] == [str(n) for n in range(30)]
        with (tmp_path / "glue" / spec.folder / f"{stem}.tsv").open() as f:
            tests = list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))
        texts = [row[spec.columns[0]] for row in tests]
        pairs = [row[spec.columns[1]] for row in tests] if len(spec.columns) > 1 else None
        given = zip(texts, pairs, strict=True) if pairs else ((text,) for text in texts)
        answers = [classifier(*row).label for row in given]
        assert [word for _, word in rows] == [words.get(a, a) for a in answers]
    with zipfile.ZipFile(out / "submission.zip") as archive:
        assert archive.namelist() == [f"{name}.tsv" for name in names]
        assert archive.read(f"{names[0]}.tsv") == (out / f"{names[0]}.tsv").read_bytes()


@pytest.mark.slow
def test_scores_for_the_server_are_numbers(train_py: Cli, glue: list[str], tmp_path: Path) -> None:
    write_task(tmp_path / "glue", "stsb")
    write_tests(tmp_path / "glue", "stsb")
    result = train_py(*glue, "task=stsb", f"data.dir={tmp_path}/glue", "submit=true")
    assert result.code == 0, result.err
    folder = run_in(tmp_path / "out")
    head, *rows = (folder / "submission/STS-B.tsv").read_text().splitlines()
    assert head == "index\tprediction"
    given = [line.split("\t") for line in rows]
    assert [number for number, _ in given] == [str(n) for n in range(30)]
    # The texts are good or bad, with the scores 1 and 0.
    lines = (tmp_path / "glue/STS-B/test.tsv").read_text().splitlines()[1:]
    words = [dict(sentences(30, 0))[line.split("\t")[7]] for line in lines]
    by_word = {word: [float(value) for (_, value), of in zip(given, words, strict=True)
                      if of == word] for word in ("good", "bad")}  # fmt: skip
    assert min(map(len, by_word.values())) > 3
    assert sum(by_word["good"]) / len(by_word["good"]) > sum(by_word["bad"]) / len(by_word["bad"])


def test_rejected_before_anything_is_trained(
    train_py: Cli, glue: list[str], tmp_path: Path
) -> None:
    write_task(tmp_path / "glue", "mnli")
    write_tests(tmp_path / "glue", "mnli")
    (tmp_path / "glue/MNLI/test_mismatched.tsv").unlink()
    cases = {
        ("task=mnli", f"data.dir={tmp_path}/glue"): (
            f"error: submit=true: there is no file {tmp_path}/glue/MNLI/test_mismatched.tsv or "
            ".tsv.gz. Put GLUE's there, or set submit=false."
        ),
        ("task=qqp",): (
            "error: submit=true: data.dir is not set. Set it to a folder with QQP/test.tsv."
        ),
        ("task=demo",): (
            "error: submit=true: task demo has no GLUE test set. Set submit=false, or task to one "
            "of sst2, mnli, qqp, qnli, cola, mrpc, rte, stsb, wnli."
        ),
    }
    for args, line in cases.items():
        result = train_py(*glue, *args, "submit=true")
        assert (result.code, result.err.splitlines()) == (2, [line])
    assert not list((tmp_path / "out").rglob("*.ckpt"))


def test_a_finished_run_without_answers_is_not_all_that_was_asked_for(tmp_path: Path) -> None:
    """In a sweep; an unfinished one may be gone on with, whether it was to submit or not."""

    def composed(*extra: str) -> DictConfig:
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            return compose("train", ["task=sst2", f"data.dir={tmp_path}/glue", *extra])

    key = run_key(check(composed()))
    assert run_key(check(composed("submit=true"))) == key
    run, own = tmp_path / "out/run", tmp_path / "sweep/0"
    run.mkdir(parents=True)
    (run / "run.json").write_text(json.dumps({"key": key}))
    assert _place_of(composed("submit=true"), own, tmp_path / "out") == run  # resumes
    (run / "results.json").write_text("{}")
    assert _place_of(composed(), own, tmp_path / "out") == run
    assert _place_of(composed("submit=true"), own, tmp_path / "out") == own
    (run / "submission").mkdir()
    (run / "submission/submission.zip").write_bytes(b"")
    assert _place_of(composed("submit=true"), own, tmp_path / "out") == run


def test_broken_test_files(tmp_path: Path) -> None:
    file, spec = tmp_path / "QQP/test.tsv", TASKS["qqp"]
    row = {"id": "0", "question1": "a", "question2": "b"}
    write(file, HEADERS["qqp"], [row])
    with file.open("a") as f:
        f.write("1\tonly one\n")  # malformed lines are skipped in train, never here
    with pytest.raises(LadaError, match="line 3: has 2 fields, but the header has 3"):
        load_tests(spec, str(tmp_path))
    write(file, HEADERS["qqp"], [])
    with pytest.raises(LadaError, match="has no examples"):
        load_tests(spec, str(tmp_path))
    write(file, ["index", "question1", "question2"], [row])
    with pytest.raises(LadaError, match="has no column 'id'"):
        load_tests(spec, str(tmp_path))


def test_one_archive_of_several_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main = runpy.run_path(str(ROOT / "experiments/table3/submission.py"))["main"]
    for run, names in (("a", ["SST-2"]), ("b", ["MNLI-m", "MNLI-mm"]), ("c", ["SST-2"])):
        for name in names:
            write(tmp_path / run / "submission" / f"{name}.tsv", ["index", "prediction"], [])
    runs = [str(tmp_path / run) for run in "abc"]
    out = tmp_path / "all.zip"
    main([*runs[:2], "--out", str(out)])
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == ["SST-2.tsv", "MNLI-m.tsv", "MNLI-mm.tsv"]
    assert "lacking: AX, CoLA, MRPC, QNLI, QQP, RTE, STS-B, WNLI;" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"SST-2.tsv: is in .*/a/submission too"):
        main(runs)
    with pytest.raises(SystemExit, match="has no submission"):
        main([str(tmp_path)])
