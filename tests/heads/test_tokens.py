"""Kind tokens: windows, scores against seqeval, and a whole run."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import Result
from seqeval.metrics import f1_score
from transformers import BertTokenizer

import lada
from lada.data.split import Split
from lada.data.windows import encode_words, first_tokens
from lada.heads import head_named
from lada.heads.tokens import Tokens
from lada.ops.losses import cross_entropy
from lada.report.comparison import compare
from lada.report.rows import make_row

TAGS = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdef", *(f"##{c}" for c in "abcdef")]


@pytest.fixture(scope="module")
def letters() -> BertTokenizer:
    """A token per letter."""
    return BertTokenizer(vocab={piece: number for number, piece in enumerate(PIECES)})


def drawn(count: int, seed: int, longest: int = 9) -> Split:
    draw = random.Random(seed)
    texts, labels = [], []
    for _ in range(count):
        words = ["".join(draw.choices("abcdef", k=draw.randint(1, 4)))
                 for _ in range(draw.randint(1, longest))]  # fmt: skip
        spans, start = [], 0
        for word in words:
            spans.append((start, start + len(word)))
            start += len(word) + 1
        texts.append(" ".join(words))
        labels.append([spans, draw.choices(range(len(TAGS)), k=len(words))])
    return Split("dev", texts, None, labels)


@pytest.mark.parametrize("longest", [8, 12, 64])
def test_every_word_has_one_window(letters: BertTokenizer, longest: int) -> None:
    split = drawn(30, 0, longest=20)
    found = encode_words(split, letters, longest)
    assert found.words is not None and found.source is not None
    assert found.lengths.max() <= longest
    seen = []
    for window in range(len(found)):
        part = slice(found.starts[window], found.starts[window + 1])
        for token in np.flatnonzero(found.words[part] >= 0):
            text, word = int(found.source[window]), int(found.words[part][token])
            spans, tags = split.labels[text]
            first = split.texts[text][spans[word][0]]
            assert letters.convert_ids_to_tokens(int(found.ids[part][token])) == first
            assert found.labels[part][token] == tags[word]
            seen.append((text, word))
    expected = [(text, word) for text, (spans, _) in enumerate(split.labels)
                for word in range(len(spans))]  # fmt: skip
    assert sorted(seen) == expected
    assert found.targets.sum() == len(expected)
    if longest == 64:
        assert len(found) == len(split)


def test_tokens_of_words() -> None:
    # Byte-level tokens have the space before a word; a token may end two words.
    assert first_tokens([(0, 0), (0, 3), (3, 7), (0, 0)], [(0, 3), (4, 7)]) == [(1, 0), (2, 1)]
    assert first_tokens([(0, 1), (1, 2), (2, 4)], [(0, 2), (2, 3), (3, 4)]) == [
        (0, 0), (2, 1), (2, 2)]  # fmt: skip
    # A window that begins inside a word does not have its first token.
    assert first_tokens([(0, 0), (1, 2), (3, 4)], [(0, 2), (3, 4)]) == [(2, 1)]


def test_scores_are_seqeval_s(letters: BertTokenizer) -> None:
    split = drawn(60, 1)
    examples = encode_words(split, letters, 12)
    head = head_named("tokens", TAGS)
    draw = torch.Generator().manual_seed(0)
    outputs = []
    for window in range(len(examples)):
        part = examples.labels[examples.starts[window] : examples.starts[window + 1]]
        right = torch.nn.functional.one_hot(torch.from_numpy(part).clamp(min=0), len(TAGS))
        outputs.append(2 * right + torch.randn(right.shape, generator=draw))
    found = head.score(outputs, examples, split)
    assert isinstance(head, Tokens)
    predicted = [[TAGS[i] for i in tags] for tags in head._tags(outputs, examples, split)]
    true = [[TAGS[i] for i in tags] for _, tags in split.labels]
    assert found["entity_f1"] == pytest.approx(f1_score(true, predicted))
    assert 0.3 < found["entity_f1"] < 0.95
    low, high = found["entity_f1_95"]
    assert low < found["entity_f1"] < high
    assert set(found["types"]) == {"LOC", "PER"}
    assert found["rows"] == 60
    assert json.loads(json.dumps(found)) == found


def test_losses_are_of_the_first_tokens_alone() -> None:
    head = head_named("tokens", TAGS)
    labels = torch.tensor([[-100, 1, -100, 4], [-100, 0, -100, -100]])
    student, teacher = torch.randn(2, 2, 4, len(TAGS))
    batch = {"labels": labels, "targets": torch.tensor(3.0), "totals": torch.ones(3)}
    chosen = labels >= 0
    expected = cross_entropy(student[chosen], labels[chosen])
    torch.testing.assert_close(head.hard(student, batch), expected)
    changed = teacher.clone()
    changed[~chosen] += 5
    for loss in (head.soft, head.softened):
        assert loss(student, teacher, batch, 2.0) == loss(student, changed, batch, 2.0)
    none = {**batch, "labels": torch.full_like(labels, -100)}
    assert head.hard(student, none) == 0.0


def write(file: Path, count: int, seed: int) -> Path:
    draw = random.Random(seed)
    lines = []
    for _ in range(count):
        for _ in range(draw.randint(3, 9)):
            kind = draw.random()
            if kind < 0.2:
                lines += ["Paris B-LOC"]
            elif kind < 0.4:
                lines += ["Ada B-PER", "King I-PER"]
            else:
                lines += [f"{draw.choice(('the', 'a', 'went', 'to', 'saw'))} O"]
        lines.append("")
    file.write_text("\n".join(lines))
    return file


def test_a_run(train_py: Callable[..., Result], tiny: list[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    rest = [word for word in tiny if not word.startswith(("task=", "task.train", "task.dev"))]
    result = train_py(
        *rest,
        "task=conll",
        f"task.train_file={write(tmp_path / 'train.conll', 300, 1)}",
        f"task.dev_file={write(tmp_path / 'dev.conll', 60, 2)}",
        f"hydra.run.dir={out}",
    )
    assert result.code == 0, result.err
    record = json.loads((out / "results.json").read_text())
    assert record["kind"] == "tokens" and record["metrics"][0] == "entity_f1"
    assert record["teacher"]["scores"]["dev"]["entity_f1"] > 0.9
    assert "dev entity F1 %" in result.out
    (line,) = (found for found in compare([make_row(out, "5x")]) if found.method == "lada")
    assert line.mean == record["artifact"]["scores"]["dev"]["entity_f1"]
    model = lada.load(out / "artifact")
    assert type(model.model).__name__ == "LadaBertForTokenClassification"
    text = "Ada King saw Paris " * 40  # longer than the model takes
    answer = model(text)
    for found in answer.entities:
        assert text[found.start : found.end] == found.text
    assert len(model(["Paris", "the"])) == 2
