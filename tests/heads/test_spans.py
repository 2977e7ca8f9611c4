"""Kind spans: windows, losses, answers, and a whole run."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from families import tiny
from helpers import Result
from hypothesis import given
from hypothesis import strategies as st
from nn.test_family_tokenizers import MAKERS
from transformers import BertTokenizer

import lada
from lada.data.lines import Keys, opened, read_items
from lada.data.questions import encode_questions
from lada.data.split import Split
from lada.data.tokens import Encoded
from lada.data.windows import OVERLAP
from lada.errors import LadaError
from lada.heads import head_named
from lada.heads.answers import Span, as_json
from lada.heads.spans import LONGEST, Spans
from lada.nn.pretrained import CLASSIFIER, SPANS, load_classifier
from lada.ops.metrics.squad import answer_scores
from lada.ops.spans import best_span
from lada.predict import answered
from lada.report.comparison import compare
from lada.report.rows import make_row

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdef?", *(f"##{c}" for c in "abcdef")]


@pytest.fixture(scope="module")
def letters() -> BertTokenizer:
    """A token per letter."""
    return BertTokenizer(vocab={piece: number for number, piece in enumerate(PIECES)})


def drawn(count: int, seed: int, longest: int) -> Split:
    """Questions whose answers are some words of their contexts; every fifth has none."""
    draw = random.Random(seed)
    questions, contexts, answers = [], [], []
    for number in range(count):
        words = ["".join(draw.choices("abcdef", k=draw.randint(1, 4)))
                 for _ in range(draw.randint(2, longest))]  # fmt: skip
        context = " ".join(words)
        first = draw.randrange(len(words))
        text = " ".join(words[first : first + draw.randint(1, 2)])
        start = len(" ".join([*words[:first], ""]))
        assert context[start : start + len(text)] == text
        questions.append("".join(draw.choices("abcdef", k=draw.randint(1, 9))) + "?")
        contexts.append(context)
        answers.append([(start, text)] if number % 5 else [])
    return Split("dev", questions, contexts, answers)


def parts(examples: Encoded, window: int) -> slice:
    return slice(int(examples.starts[window]), int(examples.starts[window + 1]))


@pytest.mark.parametrize("longest", [16, 24, 128])
def test_every_answer_has_a_window(letters: BertTokenizer, longest: int) -> None:
    split = drawn(40, 0, longest=20)
    found = encode_questions(split, letters, longest)
    assert split.pairs is not None and found.source is not None and found.offsets is not None
    assert found.lengths.max() <= longest
    answered, seen = set(), [set() for _ in split.texts]
    for window in range(len(found)):
        number = int(found.source[window])
        offsets, ids = found.offsets[parts(found, window)], found.ids[parts(found, window)]
        context = split.pairs[number]
        for (start, end), token in zip(offsets, ids, strict=True):
            if start >= 0:
                seen[number].add(int(start))
                text = letters.convert_ids_to_tokens(int(token)).removeprefix("##")
                assert context[start:end] == text
        first, last = found.labels[window]
        if first:
            answered.add(number)
            start, text = split.labels[number][0]
            assert context[offsets[first, 0] : offsets[last, 1]] == text
            assert offsets[first, 0] == start
        else:
            assert last == 0
    # An answer that is no longer than what windows have in common, and one more, is whole in one.
    common = (longest - 3) // OVERLAP + 1
    texts = {n: found[0][1].replace(" ", "") for n, found in enumerate(split.labels) if found}
    sure = {number for number, text in texts.items() if len(text) <= common}
    assert sure <= answered <= set(texts) and len(sure) > 10
    for number, context in enumerate(split.pairs):
        assert seen[number] == {place for place, c in enumerate(context) if c != " "}
    if longest == 128:
        assert len(found) == len(split)


def test_a_long_question_leaves_room_for_the_context(letters: BertTokenizer) -> None:
    split = Split("dev", ["a" * 50, "abc?"], ["f e d", "f e d"], [[(0, "f")], [(2, "e")]])
    found = encode_questions(split, letters, 13)
    assert found.lengths.tolist() == [11, 10]
    assert found.labels.tolist() == [[7, 7], [7, 7]]
    without = Split("unlabeled", split.texts, split.pairs, [None, None])
    assert encode_questions(without, letters, 13).labels.tolist() == [[-100, -100]] * 2
    types = [letters.convert_ids_to_tokens(found.ids[parts(found, n)].tolist()) for n in (0, 1)]
    assert types[0][1:7] == ["a", *["##a"] * 4, "[SEP]"]
    with pytest.raises(LadaError, match=r"^task\.max_length=4: this leaves no room"):
        encode_questions(split, letters, 4)


@pytest.mark.parametrize("name", MAKERS)
def test_answers_in_the_tokens_of_every_family(name: str) -> None:
    tokenizer = MAKERS[name][1]()
    odd = ["🙂", "Café", "日本", "the", "soup", "12", "un\u200bknown", "x" * 9, "naïve", "«a»"] * 4
    random.Random(0).shuffle(odd)
    context = "  ".join(odd)
    words = ("soup", "the", "12", "the  soup")
    contexts = [f"{context} {word} {context}" for word in words]
    answers = [[(len(context) + 1, word)] for word in words]
    split = Split("dev", ["not bad?"] * len(words), contexts, answers)
    examples = encode_questions(split, tokenizer, 120)
    assert len(examples) > len(split) and examples.source is not None
    outputs = outputs_for(examples, 50.0, 0)
    for window, logits in enumerate(outputs):
        logits *= 1 if examples.labels[window, 0] else 0.5  # windows without it are less sure
    found = HEAD.spans(split, outputs, examples)
    assert [(span.start, span.text) for span in found] == [each[0] for each in answers]
    first = tokenizer.convert_ids_to_tokens(examples.ids[examples.starts[:-1]].tolist())
    assert set(first) == {tokenizer.cls_token}


def batch_of(lengths: list[int], labels: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
    mask = (torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]).long()
    some = torch.zeros(len(lengths), 2, dtype=torch.int64) if labels is None else labels
    totals = torch.tensor([float(len(lengths)), float(sum(lengths)), 0.0])
    return {"attention_mask": mask, "labels": some, "totals": totals}


LENGTHS = [7, 4, 5]
HEAD = head_named("spans")


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_losses_are_those_of_windows_without_padding(temperature: float) -> None:
    torch.manual_seed(0)
    labels = torch.tensor([[2, 6], [0, 0], [1, 1]])
    batch = batch_of(LENGTHS, labels)
    student, teacher = torch.randn(2, 3, 7, 2)
    hard = soft = softened = squared = 0.0
    for s, t, label, n in zip(student, teacher, labels, LENGTHS, strict=True):
        for part in (0, 1):
            ours, theirs = s[:n, part], t[:n, part]
            hard += float(F.cross_entropy(ours, label[part]))
            soft += float(F.cross_entropy(ours / temperature, theirs.softmax(0)))
            divergence = F.kl_div(
                (ours / temperature).log_softmax(0),
                (theirs / temperature).softmax(0),
                reduction="sum",
            )
            softened += float(divergence) * temperature**2
            squared += float((ours - theirs).square().sum())
    for padding in (0.0, 1e4, -1e4):
        for place, n in enumerate(LENGTHS):
            student[place, n:], teacher[place, n:] = padding, -padding
        ours = student.clone().requires_grad_()
        found = [
            HEAD.hard(ours, batch),
            HEAD.soft(ours, teacher, batch, temperature),
            HEAD.softened(ours, teacher, batch, temperature),
            HEAD.squared(ours, teacher, batch),
        ]
        expected = [hard / 6, soft / 6, softened / 6, squared / (2 * sum(LENGTHS))]
        torch.testing.assert_close(torch.stack(found), torch.tensor(expected))
        torch.stack(found).sum().backward()
        assert ours.grad is not None and torch.isfinite(ours.grad).all()
        real = batch["attention_mask"].bool()
        assert not ours.grad[~real].any() and ours.grad[real].any()


@given(st.integers(1, 9), st.integers(1, 12), st.integers(0, 10**6))
def test_the_best_span_is_that_of_all_spans(length: int, longest: int, seed: int) -> None:
    logits = torch.randn(length, 2, generator=torch.Generator().manual_seed(seed))
    every = {
        (first, last): float(logits[first, 0] + logits[last, 1])
        for first in range(length)
        for last in range(first, min(length, first + longest))
    }
    first, last, total = best_span(logits, longest)
    assert total == pytest.approx(max(every.values()), abs=1e-6)
    assert every[first, last] == pytest.approx(total, abs=1e-6)


def outputs_for(examples: Encoded, sure: float, seed: int) -> list[torch.Tensor]:
    """Outputs that are right by ``sure``, and noise."""
    draw = torch.Generator().manual_seed(seed)
    found = []
    for label, length in zip(examples.labels, examples.lengths, strict=True):
        logits = torch.randn(int(length), 2, generator=draw)
        logits[label[0], 0] += sure
        logits[label[1], 1] += sure
        found.append(logits)
    return found


@pytest.mark.parametrize("longest", [24, 128])
def test_sure_outputs_give_the_answers(letters: BertTokenizer, longest: int) -> None:
    split = drawn(40, 1, longest=20)
    examples = encode_questions(split, letters, longest)
    head = HEAD.fitted(split)
    assert isinstance(head, Spans) and head.optional
    assert head.restored(json.loads(json.dumps(head.about()))) == head
    assert not HEAD.fitted(Split("t", ["q"], ["c"], [[(0, "c")]])).about()["optional"]
    outputs = outputs_for(examples, 50.0, 0)
    for found, context, answers in zip(
        head.spans(split, outputs, examples), split.pairs or (), split.labels, strict=True
    ):
        assert (found.start, found.text) == (answers[0] if answers else (0, ""))
        assert context[found.start : found.end] == found.text
        assert found.probability == pytest.approx(1, abs=1e-4)
    score = head.score(outputs, examples, split)
    assert score["exact_match"] == score["answer_f1"] == 1.0
    assert (score["rows"], score["windows"]) == (40, len(examples))


def test_scores_are_means_over_questions(letters: BertTokenizer) -> None:
    split = drawn(60, 2, longest=12)
    examples = encode_questions(split, letters, 40)
    outputs = outputs_for(examples, 2.0, 1)
    score = HEAD.score(outputs, examples, split)
    given = [
        answer_scores(found.text, [text for _, text in answers])
        for found, answers in zip(HEAD.spans(split, outputs, examples), split.labels, strict=True)
    ]
    exact, f1 = (float(np.mean(part)) for part in zip(*given, strict=True))
    assert (score["exact_match"], score["answer_f1"]) == pytest.approx((exact, f1))
    assert 0.1 < exact < f1 < 0.95
    low, high = score["exact_match_95"]
    assert low < exact < high
    assert HEAD.units(outputs, examples, split).mean(0).tolist() == pytest.approx([exact, f1])
    assert json.loads(json.dumps(score)) == score
    other = head_named("spans", metrics=("answer_f1", "exact_match"))
    assert "answer_f1_95" in other.score(outputs, examples, split)


def test_an_answer_is_of_one_context_and_not_too_long(letters: BertTokenizer) -> None:
    split = Split("dev", ["a?"], ["b " * 60], [[]])
    examples = encode_questions(split, letters, 128)
    logits = torch.zeros(int(examples.lengths[0]), 2)
    logits[1, 0] = logits[-1, 1] = 9.0  # in the question, and the last token
    logits[4, 0] = logits[4 + LONGEST, 1] = 3.0  # one token too long
    logits[6, 1] = 2.0
    (found,) = HEAD.spans(split, [logits], examples)
    assert (found.start, found.end, found.text) == (0, 5, "b b b")
    assert as_json(Span("x", 1, 2, 0.5)) == {"text": "x", "start": 1, "end": 2, "probability": 0.5}
    empty = Split("dev", ["a?"], [" "], [[]])
    examples = encode_questions(empty, letters, 128)
    (found,) = HEAD.spans(empty, [torch.zeros(int(examples.lengths[0]), 2)], examples)
    assert found == Span("", 0, 0, 0.0)


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_a_teacher_of_another_kind_is_told(family: str, tmp_path: Path) -> None:
    for kind in ("SequenceClassification", "QuestionAnswering"):
        model = tiny(family, f"AutoModelFor{kind}", ("a", "b"))
        model.save_pretrained(tmp_path / kind)
    for auto, folder in ((SPANS, "SequenceClassification"), (CLASSIFIER, "QuestionAnswering")):
        with pytest.raises(LadaError, match=r"^teacher.path=.*: is a \w+, and the task needs a"):
            load_classifier(tmp_path / folder, ("a", "b"), 0, fine_tuned=True, auto=auto)
    # A teacher may be trained from it, and one of its own kind is read as it is.
    load_classifier(tmp_path / "SequenceClassification", (), 0, auto=SPANS)
    read = load_classifier(tmp_path / "QuestionAnswering", (), 0, fine_tuned=True, auto=SPANS)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(read.state_dict()[name], tensor)


def test_an_artifact_says_whether_there_may_be_no_answer(
    letters: BertTokenizer, tmp_path: Path
) -> None:
    model = tiny("bert", "AutoModelForQuestionAnswering")
    about = {"kind": "spans", "pairs": True, "max_length": 24}
    context = "abc def " * 20
    for optional, bias in ((True, 20.0), (False, 20.0), (True, -20.0)):
        folder = tmp_path / f"{optional} {bias}"
        with torch.no_grad():
            model.qa_outputs.weight.zero_()
            model.qa_outputs.bias.fill_(0.0)
            # All tokens have the same logits; those of the first are another's only by its state.
            state = model(torch.tensor([[2, 5, 3, 5, 3]]), output_hidden_states=True)
            first, others = state.hidden_states[-1][0, 0], state.hidden_states[-1][0, 1:].mean(0)
            model.qa_outputs.weight += bias * (first - others) / (first - others).square().sum()
        lada.save(model, letters, folder, {**about, "optional": optional}, values="fp32")
        answer = lada.load(folder)("f?", context)
        assert (answer.text == "") == (optional and bias > 0)
        assert context[answer.start : answer.end] == answer.text
    with pytest.raises(LadaError, match="optional is 'yes', but must be true or false"):
        lada.save(model, letters, tmp_path / "no", {**about, "optional": "yes"})
    with pytest.raises(LadaError, match=r"^about: kind is 'tokens', which a \w+Answering is not f"):
        lada.save(model, letters, tmp_path / "no", {"kind": "tokens"})


def write(file: Path, questions: int, seed: int) -> Path:
    """SQuAD's JSON: which of three places is in the context?"""
    draw = random.Random(seed)
    paragraphs = []
    for number in range(questions):
        words = draw.choices(("the", "a", "went", "to", "saw", "and"), k=draw.randint(3, 6))
        word = draw.choice(("paris", "rome", "oslo"))
        words.insert(draw.randint(0, len(words)), word)
        context = " ".join(words)
        answers = [{"answer_start": context.index(word), "text": word}]
        qas = [{"id": str(number), "question": "where?", "answers": answers}]
        paragraphs.append({"context": context, "qas": qas})
    file.write_text(json.dumps({"data": [{"title": "t", "paragraphs": paragraphs}]}))
    return file


@pytest.mark.slow
def test_a_run(train_py: Callable[..., Result], tiny: list[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    rest = [word for word in tiny if not word.startswith(("task=", "task.train", "task.dev"))]
    result = train_py(
        *rest,
        "task=squad",
        f"task.train_file={write(tmp_path / 'train.json', 400, 1)}",
        f"task.dev_file={write(tmp_path / 'dev.json', 60, 2)}",
        f"hydra.run.dir={out}",
    )
    assert result.code == 0, result.err
    record = json.loads((out / "results.json").read_text())
    assert record["kind"] == "spans" and record["metrics"] == ["exact_match", "answer_f1"]
    assert record["pairs"] is True
    assert record["teacher"]["scores"]["dev"]["exact_match"] > 0.9
    score = record["artifact"]["scores"]["dev"]
    low, high = score["exact_match_95"]
    assert low <= score["exact_match"] <= high and score["rows"] == 60
    assert record["reached"] == pytest.approx(5, rel=0.005)
    (line,) = (found for found in compare([make_row(out, "5x")]) if found.method == "lada")
    assert (line.mean, line.interval) == (score["exact_match"], pytest.approx((low, high)))
    assert "dev exact match %" in result.out and "dev F1 %" in result.out
    assert "validation/exact_match" in (out / "metrics.csv").read_text()
    card = (out / "artifact" / "README.md").read_text()
    assert "pipeline_tag: question-answering" in card and 'type: "f1", name: "F1"' in card
    assert "from transformers import pipeline" not in card  # it has none for this kind
    model = lada.load(out / "artifact")
    assert type(model.model).__name__ == "LadaBertForQuestionAnswering"
    context = "the a went to " * 40 + "saw and went to rome"  # longer than the model takes
    answer = model("where?", context)
    assert context[answer.start : answer.end] == answer.text
    assert len(model([("where?", context), ("where?", "to oslo")])) == 2
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"question": "where?", "context": context}) + "\n")
    with opened(rows) as source:
        items = read_items(source, str(rows), ".jsonl", Keys("question", "context"), pairs=True)
        ((number, said),) = answered(model, items)
    assert number == 1 and said == answer
