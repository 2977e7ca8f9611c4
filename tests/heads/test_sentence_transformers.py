"""Models of vectors and sentence-transformers: both compute the same."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from families import tiny as tiny_model
from heads.made import WORDS, write_texts
from helpers import Result, write_csv
from transformers import BertTokenizer

import lada
from lada.artifact.export import dense_model
from lada.artifact.sentences import write_sentence_files
from lada.config import from_values
from lada.errors import LadaError
from lada.heads import head_named
from lada.heads.regression import Regression
from lada.nn.pretrained import load_classifier, load_tokenizer
from lada.nn.sentences import vectors_of
from lada.run.job import prepare

TEXTS = ["the cat sits near home", "rain", "a dog walks in the wind and the snow of a day"]

SEQUENCE = "AutoModelForSequenceClassification"

pytestmark = pytest.mark.slow  # its import takes seconds


def plain(place: Path, auto: str, labels: tuple[str, ...] = ()) -> Path:
    """A tiny model as transformers writes it."""
    letters = [chr(c) for c in range(97, 123)]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *("##" + c for c in letters),
             *(word for word in WORDS if len(word) > 1)]  # fmt: skip
    tiny_model("bert", auto, labels, vocab_size=len(words)).save_pretrained(place)
    BertTokenizer(vocab={w: i for i, w in enumerate(words)}).save_pretrained(place)
    return place


def folder_of(place: Path, pooling: str, normalize: bool) -> Path:
    """A tiny model of vectors as sentence-transformers writes it."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import (
        Normalize,
        Pooling,
        Transformer,
    )

    encoder = Transformer(str(plain(place / "plain", "AutoModel")), max_seq_length=32)
    parts = [encoder, Pooling(16, pooling_mode=pooling), *([Normalize()] if normalize else [])]
    SentenceTransformer(modules=parts, device="cpu").save(str(place / "model"))
    return place / "model"


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_vectors_of_a_folder(tmp_path: Path, pooling: str, normalize: bool) -> None:
    from sentence_transformers import SentenceTransformer

    folder = folder_of(tmp_path, pooling, normalize)
    about = vectors_of(folder)
    assert about == {"pooling": pooling, "normalize": normalize}
    model = load_classifier(folder, (), 0, fine_tuned=True, auto="AutoModel").eval()
    batch = dict(load_tokenizer(folder)(TEXTS, padding=True, return_tensors="pt"))
    with torch.no_grad():
        found = head_named("embedding").restored(about).output(model(**batch), batch)
    expected = SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_a_teacher_of_sentence_transformers(
    train_py: Callable[..., Result], tiny: list[str], tmp_path: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    folder, out = folder_of(tmp_path, "cls", normalize=False), tmp_path / "run"
    train, dev = write_texts(tmp_path)
    rest = [word for word in tiny if not word.startswith(("task=", "task.tr", "task.d", "model="))]
    result = train_py(
        *rest, "task=texts", f"task.train_file={train}", f"task.dev_file={dev}", "target=2.5x",
        "teacher=folder", f"teacher.path={folder}", f"hydra.run.dir={out}",
    )  # fmt: skip
    assert result.code == 0, result.err
    teacher = json.loads((out / "results.json").read_text())["teacher"]
    assert teacher["given"] and teacher["validation"]["recall_10"] == 1.0
    small = lada.load(out / "artifact")
    assert (small.about["pooling"], small.about["normalize"]) == ("cls", False)
    expected = small.classify(TEXTS)
    read = SentenceTransformer(str(out / "artifact"), device="cpu")
    assert type(read[0].auto_model).__name__ == "LadaBertModel"
    assert read.max_seq_length == 32
    np.testing.assert_allclose(read.encode(TEXTS), np.stack(expected), atol=1e-5)
    long = " ".join(WORDS * 9)
    np.testing.assert_allclose(read.encode(long), small(long), atol=1e-5)
    dense = tmp_path / "dense"
    dense_model(small.model).save_pretrained(dense)
    small.tokenizer.save_pretrained(dense)
    write_sentence_files(dense, small.about, small.model.config)
    plain_one = SentenceTransformer(str(dense), device="cpu")
    assert type(plain_one[0].auto_model).__name__ == "BertModel"
    np.testing.assert_allclose(plain_one.encode(TEXTS), np.stack(expected), atol=1e-5)
    again = tmp_path / "again"
    lada.save(small.model, small.tokenizer, again, small.about)
    np.testing.assert_array_equal(lada.load(again)(TEXTS[0]), small(TEXTS[0]))


def test_labels_that_no_sigmoid_gives(tmp_path: Path) -> None:
    """They are rejected where they alone are learned, whatever the teacher's scores are."""
    base = plain(tmp_path / "plain", SEQUENCE, ("score",))
    config = json.loads((base / "config.json").read_text())
    config["sbert_ce_default_activation_function"] = "torch.nn.modules.activation.Sigmoid"
    (base / "config.json").write_text(json.dumps(config))
    rows = [(" ".join(WORDS[i : i + 4]), str(i / 2)) for i in range(len(WORDS))] * 3
    files = {
        f"{name}_file": str(write_csv(tmp_path / f"{name}.csv", rows[start:], ("text", "label")))
        for name, start in (("train", 0), ("dev", 40))
    }
    task = {"name": "csv", "kind": "regression", "text": "text", "label": "label", **files,
            "max_length": 32}  # fmt: skip
    values = {"task": task, "teacher": {"path": str(base)}, "target": {"ratio": 2.5},
              "paths": {"cache": str(tmp_path / "cache")}}  # fmt: skip
    with pytest.raises(LadaError, match=r"its scores are sigmoids, .* from 0 to 8"):
        prepare(from_values(values | {"method": {"name": "hybrid"}}), [])
    job = prepare(from_values(values), [])
    assert isinstance(job.head, Regression) and job.head.squashes


@pytest.mark.parametrize("activation", ["Sigmoid", "Identity"])
def test_a_teacher_that_is_a_cross_encoder(
    train_py: Callable[..., Result], tiny: list[str], tmp_path: Path, activation: str
) -> None:
    from sentence_transformers import CrossEncoder

    base, out = plain(tmp_path / "plain", SEQUENCE, ("score",)), tmp_path / "run"
    given = CrossEncoder(str(base), activation_fn=getattr(torch.nn, activation)(), device="cpu")
    given.save_pretrained(str(tmp_path / "teacher"))
    words = [" ".join(WORDS[i : i + n]) for i in range(len(WORDS)) for n in range(1, 9)]
    files = []
    for name, texts in (("train", words), ("dev", words[::-3])):
        pairs = list(zip(texts, texts[::-1], strict=True))
        scores = given.predict(pairs)  # so that the teacher is right
        rows = [(*pair, str(float(score))) for pair, score in zip(pairs, scores, strict=True)]
        file = write_csv(tmp_path / f"{name}.csv", rows, ("text", "text_pair", "label"))
        files.append(f"task.{name}_file={file}")
    rest = [word for word in tiny if not word.startswith(("task=", "task.tr", "task.d", "model="))]
    result = train_py(
        *rest, "task=csv", "task.text_pair=text_pair", "task.kind=regression", "target=2.5x",
        *files, "teacher=folder", f"teacher.path={tmp_path / 'teacher'}", f"hydra.run.dir={out}",
    )  # fmt: skip
    assert result.code == 0, result.err
    teacher = json.loads((out / "results.json").read_text())["teacher"]
    assert teacher["scores"]["dev"]["pearson"] == pytest.approx(1.0, abs=1e-4)
    small = lada.load(out / "artifact")
    assert small.about["sigmoid"] == (activation == "Sigmoid")
    texts = [("the cat", "a dog"), ("rain", "snow and wind")]
    expected = [float(number) for number in small(texts)]
    read = CrossEncoder(str(out / "artifact"), device="cpu")
    assert type(read.activation_fn).__name__ == activation
    np.testing.assert_allclose(read.predict(texts), expected, atol=1e-5)
    with torch.no_grad():
        logits = small.model(**small.tokens(*zip(*texts, strict=True))).logits[:, 0]
    as_shown = logits.sigmoid() if activation == "Sigmoid" else logits
    np.testing.assert_allclose(as_shown.numpy(), expected, atol=1e-6)
