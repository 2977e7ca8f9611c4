"""Models of vectors and sentence-transformers: both compute the same."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from heads.made import WORDS, write_texts
from helpers import Result
from transformers import BertConfig, BertModel, BertTokenizer

import lada
from lada.heads import head_named
from lada.nn.pretrained import load_classifier, load_tokenizer
from lada.nn.sentences import vectors_of

TEXTS = ["the cat sits near home", "rain", "a dog walks in the wind and the snow of a day"]

pytestmark = pytest.mark.slow  # its import takes seconds


def folder_of(place: Path, pooling: str, normalize: bool) -> Path:
    """A tiny model as sentence-transformers writes it."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import (
        Normalize,
        Pooling,
        Transformer,
    )

    letters = [chr(c) for c in range(97, 123)]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *("##" + c for c in letters),
             *(word for word in WORDS if len(word) > 1)]  # fmt: skip
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(words), hidden_size=32, num_hidden_layers=2,
                        num_attention_heads=2, intermediate_size=64,
                        max_position_embeddings=40)  # fmt: skip
    BertModel(config).save_pretrained(place / "plain")
    BertTokenizer(vocab={w: i for i, w in enumerate(words)}).save_pretrained(place / "plain")
    encoder = Transformer(str(place / "plain"), max_seq_length=32)
    parts = [encoder, Pooling(32, pooling_mode=pooling), *([Normalize()] if normalize else [])]
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
    again = tmp_path / "again"
    lada.save(small.model, small.tokenizer, again, small.about)
    np.testing.assert_array_equal(lada.load(again)(TEXTS[0]), small(TEXTS[0]))
