"""method=smp, from its start to its file."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import Result, record_of, run_in
from stopped import check_resumed
from transformers import BertConfig, BertForSequenceClassification

import lada
from lada.heads import head_named
from lada.methods import Context
from lada.methods.base import Regularizer
from lada.methods.groups import ScheduleConfig
from lada.methods.smp import SmpSettings
from lada.nn.compressed import compressed_layers
from lada.nn.scored import score_, scored_layers
from lada.training.modules import StudentModule

Cli = Callable[..., Result]


def test_nothing_but_masks_is_learnt(
    train_py: Cli, tiny: list[str], teachers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file has the teacher's own values; masks follow the scores at every step."""
    masks: list[dict[str, torch.Tensor]] = []
    original = StudentModule.training_step

    def watched(self: StudentModule, *args: Any) -> Any:
        layers = scored_layers(self.model)
        assert sum(layer.kept for layer in layers.values()) > 0
        masks.append({name: layer.mask.clone() for name, layer in layers.items()})
        return original(self, *args)

    monkeypatch.setattr(StudentModule, "training_step", watched)
    done = train_py(*tiny, "method=smp", "artifact=fp32", "optim.epochs=2")
    assert done.code == 0, done.err
    record = record_of(tmp_path)
    theirs = BertForSequenceClassification.from_pretrained(
        teachers / record["teacher"]["key"]
    ).state_dict()
    model = lada.load(run_in(tmp_path) / "artifact").model
    layers = compressed_layers(model)
    counts = set()
    for name, value in model.state_dict().items():
        owner, _, part = name.rpartition(".")
        if owner not in layers:
            assert torch.equal(value, theirs[name])
        elif part == "weight":
            mask = layers[owner].get_buffer("mask")
            assert torch.equal(value, theirs[name] * mask)
            if owner.endswith("attention.self.query"):
                counts.add(int(mask.sum()))
    assert len(counts) == 2  # the two layers do not keep the same fraction

    changed = back = 0
    for before, after in pairwise(masks):
        changed += any(bool((before[name] != after[name]).any()) for name in before)
        back += any(bool((after[name] & ~before[name]).any()) for name in before)
    assert changed > 0.9 * len(masks)
    assert back > 0.5 * len(masks)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        [],
        ["method.shares=even", "artifact=int4", "trainer.accumulate=2"],
    ],
    ids=["scores", "even, few bits, accumulated"],
)
def test_stopped_and_resumed(
    words: list[str], train_py: Cli, tiny: list[str], tmp_path: Path
) -> None:
    check_resumed(train_py, [*tiny, "method=smp", *words], tmp_path)


@pytest.mark.slow
def test_a_target_in_bytes(train_py: Cli, tiny: list[str], tmp_path: Path) -> None:
    args = [word for word in tiny if not word.startswith("target")]
    done = train_py(*args, "method=smp", "target=bytes", "target.mb=0.06")
    assert done.code == 0, done.err
    assert 0.05e6 < record_of(tmp_path)["artifact"]["stored_bytes"] <= 0.06e6


def test_its_term_grows_with_the_training() -> None:
    settings = SmpSettings(regularization=8.0)
    context = Context(target=4.0, schedule=ScheduleConfig(rounds=1))
    structure = settings.make(context).structure
    assert isinstance(structure, Regularizer)
    model = torch.nn.Sequential(torch.nn.Linear(3, 2))
    score_(model, ["0"], 1.0)
    scored_layers(model)["0"].scores.data.fill_(0.0)
    for progress, weight in ((0.0, 0.0), (0.5, 7.0), (1.0, 8.0)):
        ((name, (found, term)),) = structure.penalties(model, progress).items()
        assert (name, found, float(term.detach())) == ("scores", weight, 0.5)


def test_parts_of_a_batch_add_up_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the scores' own term, which no example has."""
    torch.manual_seed(0)
    teacher = BertForSequenceClassification(
        BertConfig(
            vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=32, max_position_embeddings=16,
        )
    ).eval()  # fmt: skip
    method = SmpSettings().make(Context(target=3.0, schedule=ScheduleConfig(rounds=1)))
    plan = method.plan(teacher, 1)
    student = method.build(teacher, plan)
    method.compress_(student, plan.rounds[0])
    module = StudentModule(
        method, student, teacher, live=True, compiled=False, head=head_named("single_label"),
        total_steps=10, seed=0, optimizer={}, warmup=0.0, clip=1.0, max_nonfinite=0,
    ).eval()  # fmt: skip
    monkeypatch.setattr(StudentModule, "global_step", 5)
    shown: list[dict[str, torch.Tensor]] = []
    monkeypatch.setattr(module, "log_terms", lambda terms, index: shown.append(terms))
    ids = torch.randint(50, (6, 8))
    mask = torch.ones_like(ids)
    batch = {
        "input_ids": ids, "attention_mask": mask, "token_type_ids": 0 * ids,
        "labels": ids[:, 0] % 2,
    }  # fmt: skip
    common = {"totals": torch.tensor([6.0, 48.0, 384.0]), "weight": torch.tensor(1.0)}
    whole = module.training_step({**batch, **common}, 0)
    parts = [slice(0, 4), slice(4, 6)]
    losses = [
        module.training_step({**{k: v[part] for k, v in batch.items()}, **common}, 0)
        for part in parts
    ]
    torch.testing.assert_close(losses[0] + losses[1], whole)
    term = torch.stack([layer.scores.sigmoid().mean() for layer in scored_layers(student).values()])
    torch.testing.assert_close(shown[0]["scores"], term.mean())
    others = sum(shown[0][name] for name in ("prediction", "embedding", "hidden", "attention"))
    torch.testing.assert_close(whole - others, 350.0 * term.mean())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ratios=fast"], "ratios=fast: method=smp has no rank"),
        (["optim.weight_decay=0.1"], "is not used, since method=smp trains scores alone"),
        (["optim.eps=1e-7"], "with an epsilon of 1e-8"),
        (["method.shares=odd"], "choose one of scores, even"),
        (["method.rate=0"], "method.rate=0: must be over 0"),
    ],
)
def test_rejected(words: list[str], message: str, train_py: Cli, tiny: list[str]) -> None:
    done = train_py(*tiny, "method=smp", *words)
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1


def test_it_needs_a_run() -> None:
    with pytest.raises(lada.LadaError, match=r"method=smp: trains scores .* Use lada.compress"):
        lada.prepare("nowhere", method="smp")
