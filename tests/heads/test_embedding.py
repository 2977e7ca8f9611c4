"""Kind embedding: losses, scores, and whole runs."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from families import tiny as small_model
from heads.made import write_texts
from helpers import Result
from scipy.stats import spearmanr
from torch import Tensor
from transformers import pipeline

import lada
from lada import cli
from lada.config import from_values
from lada.config.unused import check_unused
from lada.data.scored import load_texts
from lada.data.source import load_task
from lada.data.split import Split
from lada.data.table import Columns
from lada.data.tokens import Encoded
from lada.errors import LadaError
from lada.heads import head_named
from lada.heads.embedding import Embedding
from lada.methods import methods
from lada.nn.pretrained import load_tokenizer
from lada.ops.vectors import cosine_distance, similarity_mse, vector_distance
from lada.report.comparison import compare
from lada.report.rows import make_row, metric_of_curve

NONE = Encoded(*(np.zeros(0, np.int32),) * 4)
COLUMNS = Columns("text", "text_pair", "label")


def head(**settings: object) -> Embedding:
    found = head_named("embedding").restored(settings)
    assert isinstance(found, Embedding)
    return found


def vectors(count: int, seed: int, width: int = 8) -> Tensor:
    found = torch.randn(count, width, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(found, dim=-1)


def totals(count: int) -> dict[str, Tensor]:
    return {"totals": torch.tensor([float(count), 0.0, 0.0])}


def pairs(count: int) -> Split:
    scores = np.random.default_rng(0).uniform(0, 5, count).astype(np.float32)
    first, second = ([f"{name} {i}" for i in range(count)] for name in "ab")
    return Split("dev", first, second, scores)


def test_vectors_are_pooled_and_normalized() -> None:
    states = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    batch = {"attention_mask": torch.tensor([[1, 1, 1], [1, 1, 0]])}
    out = SimpleNamespace(last_hidden_state=states)
    plain = head(normalize=False).output(out, batch)
    torch.testing.assert_close(plain, torch.stack([states[0].mean(0), states[1, :2].mean(0)]))
    torch.testing.assert_close(head().output(out, batch), plain / plain.norm(dim=-1, keepdim=True))
    first = head(pooling="cls", normalize=False).output(out, batch)
    torch.testing.assert_close(first, states[:, 0])


def test_the_loss_is_of_three_terms_in_the_teacher_s_units() -> None:
    student, teacher = vectors(8, 0), 3 * vectors(8, 1)
    made = head().taught_by(teacher)
    assert made.scale == pytest.approx(9.0)
    expected = (
        vector_distance(student, teacher) / 9
        + cosine_distance(student, teacher)
        + similarity_mse(student, teacher) / made.spread**2
    )
    torch.testing.assert_close(made.soft(student, teacher, totals(8), 1.0), expected)
    unit = teacher / 3
    between = (unit @ unit.T)[~torch.eye(8, dtype=torch.bool)]
    assert made.spread == pytest.approx(float(between.std()), rel=1e-5)


def test_parts_of_a_step_have_a_part_of_its_loss() -> None:
    """But for similarities across parts: they are not compared."""
    student, teacher = vectors(8, 0), vectors(8, 1)
    alone = [head().soft(student[i : i + 1], teacher[i : i + 1], totals(8), 1.0) for i in range(8)]
    whole = vector_distance(student, teacher) + cosine_distance(student, teacher)
    torch.testing.assert_close(torch.stack(alone).sum(), whole)


def test_there_are_no_labels_to_learn_from() -> None:
    student = vectors(3, 0)
    with pytest.raises(TypeError, match="no labels"):
        head().hard(student, totals(3))
    with pytest.raises(TypeError, match="no logits"):
        head().softened(student, student, totals(3), 1.0)


def test_scores_of_pairs() -> None:
    split, outputs, theirs = pairs(40), vectors(80, 0), vectors(80, 1)
    made = head().compared_with(theirs, split)
    found = made.score(outputs, NONE, split)
    given = (outputs[:40] * outputs[40:]).sum(1).numpy()
    assert found["spearman"] == pytest.approx(spearmanr(given, split.labels).statistic, abs=1e-6)
    low, high = found["spearman_95"]
    assert low < found["spearman"] < high
    similar, wanted = (x @ x.T - 9 * torch.eye(80) for x in (outputs, theirs))
    shares = [
        len(set(a.topk(10).indices.tolist()) & set(b.topk(10).indices.tolist())) / 10
        for a, b in zip(similar, wanted, strict=True)
    ]
    assert found["recall_10"] == pytest.approx(np.mean(shares))
    assert (found["rows"], found["texts"]) == (40, 80)
    assert made.score(theirs, NONE, split)["recall_10"] == 1.0
    assert json.loads(json.dumps(found)) == found
    np.testing.assert_allclose(made.units(outputs, NONE, split)[:, 0], given, rtol=1e-5)


def test_without_a_teacher_there_is_no_recall() -> None:
    assert "recall_10" not in head().score(vectors(80, 0), NONE, pairs(40))


def test_equal_texts_are_one_text_of_the_neighbours() -> None:
    split = Split("dev", ["x", "y", "x"], ["z", "x", "y"], np.arange(3, dtype=np.float32))
    outputs = vectors(3, 0)[[0, 1, 0, 2, 0, 1]]
    found = head().compared_with(outputs, split).score(outputs, NONE, split)
    assert (found["texts"], found["recall_10"]) == (3, 1.0)


def test_validation_is_by_recall_alone() -> None:
    split = Split("validation", [str(i) for i in range(30)], None, np.full(30, -100))
    made = head().compared_with(vectors(30, 0), split)
    assert set(made.score(vectors(30, 1), NONE, split)) == {"rows", "recall_10", "texts"}
    assert (made.chosen_by.name, made.deciding.name) == ("recall_10", "spearman")


def test_which_methods_serve_it() -> None:
    served = {name for name, found in methods().items() if found.not_served("embedding") is None}
    assert served == {
        "lada",
        "lada_plus",
        "factorization_kd",
        "pruning_kd",
        "grain",
        "smp",
        "xtc",
        "quantization",
    }


def test_texts_are_read_once_each(tmp_path: Path) -> None:
    train, dev = write_texts(tmp_path)
    data = load_task(
        "texts", data_dir=None, validation_examples=50, train_file=str(train), dev_file=str(dev),
        text="text", text_pair="text_pair", label="label",
    )  # fmt: skip
    lines = set(train.read_text().splitlines())
    assert len(data.train) + len(data.validation) == len(lines)
    assert {*data.train.texts, *data.validation.texts} == lines
    assert (data.kind, data.labels, data.train.pairs) == ("embedding", (), None)
    assert data.dev["dev"].pairs is not None and data.dev["dev"].labels.dtype == np.float32
    single = data.dev["dev"].one_by_one()
    assert list(single.texts[:40]) == list(data.dev["dev"].texts)
    assert list(single.texts[40:]) == list(data.dev["dev"].pairs)


def test_a_validation_split_of_too_few_texts_is_rejected(tmp_path: Path) -> None:
    train, dev = write_texts(tmp_path)
    with pytest.raises(LadaError, match=r"data\.validation=10: .* Set 11 or more"):
        load_task(
            "texts", data_dir=None, validation_examples=10, train_file=str(train),
            dev_file=str(dev), text="text", text_pair="text_pair", label="label",
        )  # fmt: skip


def test_texts_of_the_pairs_are_left_out(tmp_path: Path) -> None:
    train, dev = write_texts(tmp_path)
    before, splits = load_texts([train], dev, COLUMNS)
    seen = splits["dev"].one_by_one().texts[:3]
    train.write_text("\n".join([*before.texts, *seen]))
    assert list(load_texts([train], dev, COLUMNS)[0].texts) == list(before.texts)
    train.write_text("\n".join(seen))
    with pytest.raises(LadaError, match="all its texts are among the pairs"):
        load_texts([train], dev, COLUMNS)


@pytest.mark.parametrize(
    ("line", "said"),
    [("a,b,high", "'high', not a finite number"), ("a,,2", "'text_pair' is empty")],
)
def test_pairs_without_scores_are_rejected(tmp_path: Path, line: str, said: str) -> None:
    train, dev = write_texts(tmp_path)
    dev.write_text(f"text,text_pair,label\n{line}\n")
    with pytest.raises(LadaError, match=said):
        load_texts([train], dev, COLUMNS)


def test_what_does_not_go_with_texts_is_rejected(tmp_path: Path) -> None:
    train, dev = write_texts(tmp_path)
    with pytest.raises(LadaError, match=r"task\.text_pair=null: .* pairs"):
        load_texts([train], dev, Columns("text", None, "label"))
    with pytest.raises(LadaError, match="learns from labels, and a vector per text has none"):
        from_values({"task": {"name": "texts"}, "method": {"name": "finetune"}})
    for key in ("query", "unlabeled_file"):
        with pytest.raises(LadaError, match=rf"task\.{key}=text: is not used"):
            check_unused(from_values({"task": {"name": "texts", key: "text"}}), [])
    for word in ("teacher.epochs=1", "distill.temperature=2"):
        with pytest.raises(LadaError, match=f"{re.escape(word)}: is not used"):
            check_unused(from_values({"task": {"name": "texts"}}), [word])


@pytest.fixture
def run(train_py: Callable[..., Result], tiny: list[str], tmp_path: Path) -> tuple[Path, Result]:
    train, dev = write_texts(tmp_path)
    lines = train.read_text().splitlines()
    files = [tmp_path / "first.txt", tmp_path / "second.txt"]
    for file, part in zip(files, (lines[:100], lines[100:]), strict=True):
        file.write_text("\n".join(part))
    rest = [word for word in tiny if not word.startswith(("task=", "task.train", "task.dev"))]
    out = tmp_path / "run"
    result = train_py(
        *rest, "task=texts", f"task.train_file=[{files[0]},{files[1]}]", f"task.dev_file={dev}",
        f"hydra.run.dir={out}",
    )  # fmt: skip
    assert result.code == 0, result.err
    return out, result


@pytest.mark.slow
def test_a_run(
    run: tuple[Path, Result],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    out, result = run
    record = json.loads((out / "results.json").read_text())
    assert record["kind"] == "embedding" and record["metrics"] == ["spearman", "recall_10"]
    assert record["config"]["task"]["train_file"] == "PATH" and "first.txt" not in record["command"]
    examples = sum(record["data"][name]["rows"] for name in ("train", "validation"))
    assert examples == len({*(tmp_path / "train.txt").read_text().splitlines()})
    assert record["vectors"] == {"pooling": "mean", "normalize": True}
    assert record["reached"] == pytest.approx(5, rel=0.005)
    teacher, artifact = record["teacher"]["scores"]["dev"], record["artifact"]["scores"]["dev"]
    assert teacher["recall_10"] == 1.0
    assert artifact["spearman"] > 0.2 and 0.15 < artifact["recall_10"] < 1
    assert "validation/recall_10" in (out / "metrics.csv").read_text()
    assert "dev Spearman" in result.out and "dev recall@10" in result.out
    row = make_row(out, "5x")
    assert metric_of_curve(row).name == "recall_10"
    (line,) = (found for found in compare([row]) if found.method == "lada")
    assert line.mean == artifact["spearman"] and line.others == {"recall_10": artifact["recall_10"]}
    card = (out / "artifact" / "README.md").read_text()
    assert "Vectors: pooling mean, of length 1." in card
    assert "from a pretrained teacher" in card and 'SentenceTransformer("FOLDER")' in card
    model = lada.load(out / "artifact")
    assert type(model.model).__name__ == "LadaBertModel"
    assert model.labels == ()
    vector = model("the cat sits near home")
    assert vector.shape == (64,) and vector.dtype == np.float32
    assert float(np.linalg.norm(vector)) == pytest.approx(1, abs=1e-5)
    both = model(["the cat", "the cat sits near home"])
    np.testing.assert_allclose(both[1], vector, atol=1e-6)
    monkeypatch.setattr("sys.argv", ["lada", "predict", str(out / "artifact"), "the cat"])
    capfd.readouterr()
    with pytest.raises(SystemExit, match="0"):
        cli.main()
    np.testing.assert_allclose(json.loads(capfd.readouterr().out), both[0], atol=1e-6)
    states = np.array(pipeline("feature-extraction", model=str(out / "artifact"))("the cat"))[0]
    pooled = states.mean(0)
    np.testing.assert_allclose(pooled / np.linalg.norm(pooled), both[0], atol=1e-5)
    names = set(model.model.config.lada["files"])
    assert {"modules.json", "1_Pooling/config.json", "sentence_bert_config.json"} < names
    pooling = out / "artifact" / "1_Pooling" / "config.json"
    pooling.write_text(pooling.read_text().replace('cls_token": false', 'cls_token": true'))
    with pytest.raises(LadaError, match=r"1_Pooling/config\.json is modified"):
        lada.load(out / "artifact")


@pytest.mark.slow
def test_a_run_from_python(tmp_path: Path) -> None:
    """Of a folder without a head, which is the teacher as it is."""
    train, dev = write_texts(tmp_path)
    words = tuple(f"word{number}" for number in range(30))
    small_model("bert", "AutoModel", vocab_size=2000).save_pretrained(tmp_path / "model")
    load_tokenizer(None, [*words, *train.read_text().split()]).save_pretrained(tmp_path / "model")
    with dev.open(encoding="utf-8") as file:
        pairs = list(csv.DictReader(file))
    texts = train.read_text(encoding="utf-8").splitlines()
    more = {"target": 1.5, "steps": 20, "max_length": 32, "progress": "none"}
    result = lada.compress(
        tmp_path / "model", texts, pairs, task="texts", output=tmp_path / "run", **more
    )
    assert result.scores["dev"]["recall_10"] > 0.1
    assert result.classifier("the cat").shape == (16,)
