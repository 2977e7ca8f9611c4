"""Every method: it trains, meets its target, and its artifact scores what the report says."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import ROOT, Result, record_of, run_in
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from transformers import BertConfig, BertForSequenceClassification

import lada
from lada.config import Config, ScheduleConfig, check
from lada.config.unused import check_unused
from lada.errors import LadaError
from lada.methods import Context, methods
from lada.methods.base import Method
from lada.methods.structures import Shallow
from lada.nn.capture import Outputs
from lada.nn.compressed import compressed_layers
from lada.nn.masked import Masked
from lada.ops.losses import patient_layers
from lada.report.rows import make_row

METHODS = methods()
Cli = Callable[..., Result]
FOUR = {"prediction", "embedding", "hidden", "attention"}
TERMS = {
    "lada": FOUR,
    "lada_plus": FOUR,
    "factorization_kd": FOUR,
    "pruning_kd": FOUR,
    "grain": FOUR - {"attention"},
    "smp": FOUR | {"scores"},
    "hybrid": {"labels"},
    "factorization": {"labels"},
    "pruning": {"labels"},
    "finetune": {"labels"},
    "kd": {"prediction", "labels"},
    "pkd": {"prediction", "labels", "states"},
    "layerdrop": {"prediction", "labels"},
    "xtc": FOUR,
    "tinybert": FOUR,
    "bert_small": {"labels"},
    "bilstm": {"prediction"},
    "minialbert": FOUR,
    "early_exit": {"labels"},
    "quantization": set(),
}
SHAPE = ["method.layers=1", "method.width=48", "method.inner=96", "method.heads=2"]
LONGER = ["optim.lr=3e-3", "optim.epochs=8"]
"""What a student from scratch needs."""
OWN_SIZE = {
    "finetune": ["method.layers=1"],
    "kd": ["method.layers=1"],
    "pkd": ["method.layers=2"],
    "layerdrop": ["method.layers=1"],
    "xtc": ["method.layers=1"],
    "tinybert": [*SHAPE, "method.intermediate=0.4", *LONGER],
    "bert_small": [*SHAPE, *LONGER],
    "bilstm": ["method.hidden=24", "method.inner=32", *LONGER],
    "minialbert": ["method.adapter=8"],
    "early_exit": ["optim.lr=3e-3"],
    "quantization": [],
}
"""Methods whose students are small by their shape, and what fits the tiny model."""


def make_method(config: Config) -> Method:
    return config.method.make(config.context)


def test_each_has_one_file() -> None:
    shared = {"__init__", "base", "families", "forms", "groups", "objectives", "parts", "ratios",
              "registry", "settings", "shaped", "structures", "students", "units"}  # fmt: skip
    code = {file.stem for file in (ROOT / "lada/methods").glob("*.py")} - shared
    assert code == set(METHODS)


CORE = {"lada", "lada_plus", "pruning_kd", "tinybert"}
"""Methods of each form; those of the other ones are run by `make test-all`."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in CORE else pytest.mark.slow) for n in sorted(METHODS)],
)
def test_it_does_what_it_says(
    train_py: Cli, tiny: list[str], csv_files: tuple[Path, Path], tmp_path: Path, name: str
) -> None:
    args = [*tiny, f"method={name}"]
    args += ["optim.epochs=4"] if TERMS[name] else []
    if name in OWN_SIZE:
        args += ["target=none", *OWN_SIZE[name]]
    result = train_py(*args)
    assert result.code == 0, result.err
    record, run = record_of(tmp_path), run_in(tmp_path)
    assert record["config"]["method"]["name"] == name
    if name not in OWN_SIZE:
        assert record["reached"] == pytest.approx(5, rel=0.005)
    expected = "kept outputs" if TERMS[name] - {"labels"} else "not looked at"
    assert record["teacher_outputs"] == expected
    classifier = lada.load(run / "artifact")
    with csv_files[1].open(newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    answers = classifier.classify([row["text"] for row in rows])
    right = sum(a.label == row["label"] for a, row in zip(answers, rows, strict=True))
    assert right == record["artifact"]["scores"]["dev"]["correct"]
    assert right > 0.7 * len(rows)  # it has learnt something
    if not TERMS[name]:
        assert (record["steps"], record["reached"]) == (0, 1.0)
        return
    with (run / "metrics.csv").open(newline="") as f:
        terms = {key for row in csv.DictReader(f) for key in row if key.startswith("train/")}
    # Written at the end of this short run, where tinybert is in its second stage.
    last = {"prediction"} if name == "tinybert" else TERMS[name]
    assert terms - {"train/loss"} == {f"train/{term}" for term in last}


def test_factorization_drops_no_entry(train_py: Cli, tiny: list[str], tmp_path: Path) -> None:
    assert train_py(*tiny, "method=factorization").code == 0
    classifier = lada.load(run_in(tmp_path) / "artifact")
    layers = compressed_layers(classifier.model)
    assert layers
    assert not any(layer.masked for layer in layers.values())


def test_pruning_keeps_each_matrix_as_it_is(train_py: Cli, tiny: list[str], tmp_path: Path) -> None:
    assert train_py(*tiny, "method=pruning").code == 0
    classifier = lada.load(run_in(tmp_path) / "artifact")
    layers = compressed_layers(classifier.model)
    assert len(layers) == 1 + 6 * 2  # the word table, and two layers of six
    densities = []
    for layer in layers.values():
        assert isinstance(layer, Masked)
        densities.append(layer.kept / layer.weight.numel())
        zeros = layer.weight.detach().numpy()[~layer.mask.numpy()]
        assert not np.any(zeros)
    assert max(densities) - min(densities) < 0.01
    forms = json.loads((run_in(tmp_path) / "artifact/config.json").read_text())["lada"]
    assert "masked" in json.dumps(forms)


@pytest.mark.parametrize("embedding", ["svd", "prune"])
def test_the_word_table_meets_the_target(
    train_py: Cli, tiny: list[str], tmp_path: Path, embedding: str
) -> None:
    args = ["method=kd", "method.layers=1", f"method.embedding={embedding}"]
    result = train_py(*tiny, *args, "target=custom", "target.ratio=2")
    assert result.code == 0, result.err
    assert record_of(tmp_path)["reached"] == pytest.approx(2, rel=0.02)
    layers = compressed_layers(lada.load(run_in(tmp_path) / "artifact").model)
    assert [name.rpartition(".")[2] for name in layers] == ["word_embeddings"]


@pytest.mark.parametrize(
    ("which", "kept"),
    [
        ("first", [0, 1]),
        ("alternate", [0, 3]),
        ("ends", [0, 5]),
        ("skip", [2, 5]),
        ("top", [4, 5]),
    ],
)
def test_which_layers_stay(which: str, kept: list[int]) -> None:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=6, num_attention_heads=2,
        intermediate_size=8, max_position_embeddings=8,
    )  # fmt: skip
    teacher = BertForSequenceClassification(config)
    schedule = ScheduleConfig(rounds=1, recovery=0.2)
    structure = Shallow(None, which, None, "keep", schedule)
    plan = structure.plan(teacher, 1)
    student = structure.build(teacher, plan)
    assert student.config.num_hidden_layers == len(student.bert.encoder.layer) == 2
    for layer, number in zip(student.bert.encoder.layer, kept, strict=True):
        ours, theirs = layer.state_dict(), teacher.bert.encoder.layer[number].state_dict()
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert teacher.config.num_hidden_layers == 6
    count = sum(p.numel() for p in student.parameters())
    assert plan.rounds[-1].nonzeros == count
    assert plan.rounds[-1].ratio == sum(p.numel() for p in teacher.parameters()) / count


@pytest.mark.parametrize(
    ("which", "count", "kept"),
    [
        ("ends", 6, [0, 2, 4, 7, 9, 11]),  # DistilBERT's start
        ("ends", 3, [0, 6, 11]),
        ("ends", 1, [0]),
        ("ends", 12, list(range(12))),
        ("skip", 6, [1, 3, 5, 7, 9, 11]),
        ("skip", 5, [1, 3, 6, 8, 11]),
        ("skip", 1, [11]),
        ("alternate", 3, [0, 4, 8]),
    ],
)
def test_which_of_twelve(which: str, count: int, kept: list[int]) -> None:
    structure = Shallow(count, which, None, "keep", ScheduleConfig(rounds=1, recovery=0.2))
    assert structure._kept(12, count) == kept


def test_pkd_may_start_from_the_layers_that_teach_it() -> None:
    """With `skip` its states have as counterparts those of its own layers (PKD's Eq. 7)."""
    config = METHODS["pkd"](which="skip", layers=3)
    torch.manual_seed(0)
    teacher = BertForSequenceClassification(BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=6, num_attention_heads=2,
        intermediate_size=8, max_position_embeddings=8,
    ))  # fmt: skip
    method = config.make(Context(target=None))
    student = method.build(teacher, method.plan(teacher, 1))
    taught = [*patient_layers(6, 3, "skip"), 6]
    for layer, number in zip(student.bert.encoder.layer, taught, strict=True):
        expected = teacher.bert.encoder.layer[number - 1].state_dict()
        assert all(torch.equal(x, expected[name]) for name, x in layer.state_dict().items())


def test_bilstm_may_learn_labels_too() -> None:
    """`labels_weight` times the cross-entropy beside the squared error."""
    batch = {"labels": torch.tensor([1, 0]), "totals": torch.tensor([2, 8, 32])}
    student = Outputs(torch.tensor([[1.0, 0.0], [2.0, -1.0]]), (), ())
    teacher = Outputs(torch.tensor([[0.0, 3.0], [1.0, 1.0]]), (), ())
    terms = (
        METHODS["bilstm"](labels_weight=0.5)
        .make(Context(target=None))
        .losses(student, teacher, batch, 0.0)
    )
    expected = torch.nn.functional.cross_entropy(student.logits, batch["labels"])
    assert terms["labels"][0] == 0.5
    torch.testing.assert_close(terms["labels"][1], expected)
    torch.testing.assert_close(
        terms["prediction"][1], torch.nn.functional.mse_loss(student.logits, teacher.logits)
    )


def test_three_layers_of_bert_base_have_45_million_parameters() -> None:
    """Published: 45.7 M (PKD, arXiv 1908.09355), 44 M (LadaBERT's Table 3), both for 3 of 12."""
    width, inner, layers, classes = 768, 3072, 3, 2
    embeddings = (30_522 + 512 + 2) * width + 2 * width
    attention = 4 * (width * width + width) + 2 * width
    feed_forward = 2 * width * inner + inner + width + 2 * width
    head = width * width + width + classes * width + classes
    expected = embeddings + layers * (attention + feed_forward) + head
    assert expected == 45_692_930
    schedule = ScheduleConfig(rounds=1, recovery=0.2)
    with torch.device("meta"):
        dense = BertForSequenceClassification(BertConfig())
    plan = Shallow(None, "first", None, "keep", schedule).plan(dense, 1)
    assert plan.rounds[-1].nonzeros == expected


@pytest.mark.parametrize("size", [["target=none"], ["target=2.5x"]])
def test_methods_that_leave_layers_out_make_one_shape(size: list[str]) -> None:
    """What differs is the loss: with as many layers they have as many parameters."""
    with torch.device("meta"):
        dense = BertForSequenceClassification(BertConfig())
    plans, shapes = [], []
    for name in ("finetune", "kd", "pkd", "layerdrop"):
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            composed = compose("train", overrides=[f"method={name}", "model=bert-base", *size])
        method = make_method(check(composed))
        plans.append(method.plan(dense, 2))
        student = method.build(dense, plans[-1]) if size == ["target=none"] else None
        shapes.append(student and {n: p.shape for n, p in student.named_parameters()})
    assert all(plan == plans[0] for plan in plans)
    assert all(shape == shapes[0] for shape in shapes)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["method=frob"], "pruning"),
        (["method=pruning", "ratios=paper"], "has no rank"),
        (["method=lada_plus", "ratios=fast"], "lada_plus has method.density in its place"),
        (["method=pruning_kd", "ratios=fast"], "has no rank"),
        (["method=kd", "method.layers=1", "ratios=fast"], "method=kd has no rank and pruning"),
        (["method=factorization", "ratios=paper"], "whole budget on rank"),
        (["method=factorization_kd", "ratios=paper"], "method=hybrid"),
        (["method=pruning", "method.lower_rank=truncate"], "method.lower_rank"),
        (["method=factorization", "method.threshold=global"], "method.threshold"),
        (["method=pruning", "target=custom", "target.ratio=400"], "the largest is x"),
        *(
            ([f"method={name}", "target=none"], f"method={name} has no size of its own")
            for name in sorted(set(METHODS) - set(OWN_SIZE))
        ),
        (["method=kd", "method.layers=3"], "the teacher has 2"),
        (["method=kd", "method.layers=1", "target=custom", "target.ratio=400"], "largest is x"),
        (["method=kd", "method.layers=1", "method.embedding=keep", "target=10x"], "svd or prune"),
        (
            ["method=kd", "method.layers=1", "target=custom", "target.ratio=1.1"],
            "by itself; give a larger target, or target=none; method.layers=2 would do",
        ),
        (["method=finetune", "method.layers=1", "target=custom", "target.ratio=1.01"], "by itself"),
        (["method=pkd", "method.layers=1", "target=none"], "would do: 2"),
        (["method=pkd", "method.layers=1", "method.states=last", "target=none"], "would do: 2"),
        (["method=pkd", "method.states=odd", "target=none"], "choose one of skip, last"),
        (["method=pkd", "method.beta=0", "target=none"], "method.beta=0: must be over 0"),
        (["method=kd", "method.alpha=1.5", "target=none"], "method.alpha"),
        (["method=kd", "method.alpha=nan", "target=none"], "method.alpha=nan"),
        (["method=kd", "method.temperature=0", "target=none"], "temperature=0: must be over 0"),
        (["method=kd", "method.temperature=inf"], "must be over 0 and at most"),
        (["method=kd", "method.layers=0"], "method.layers=0: must be at least 1"),
        (
            ["method=kd", "method.beta=1"],
            "method.beta: is not a key of this method. It goes with method=pkd",
        ),
        (["method=early_exit", "target=none", "ratios=fast"], "no rank and pruning to split"),
        (
            ["method=pruning", "ratios.embedding=5"],
            "takes no ratios of its own",
        ),
        (["method=bilstm", "target=none", "compile=true"], "compile=true: torch does not compile"),
        (
            [
                "method=finetune",
                "method.layers=1",
                "method.embedding=keep",
                "target=custom",
                "target.ratio=1.01",
            ],
            "by itself",
        ),
        (["method=kd", "distill.hidden=0"], "distill.hidden=0: is not used by method=kd"),
        (["method=tinybert", "distill=prediction"], "take one of lada, lada_plus"),
        (["method=kd", "method.embedding=none"], "choose one of keep, svd, prune"),
        (["method=tinybert", "method.intermediate=1"], "the classifier would learn nothing"),
        (["method=layerdrop", "method.which=last", "target=none"], "alternate"),
        (["method=bert_small", "target=none", "method.heads=7"], "does not divide"),
        (["method=tinybert", "target=none", *SHAPE[1:], "method.layers=3"], "would do: 1, 2"),
        (["method=tinybert", "target=none", *SHAPE[:3], "method.heads=4"], "teacher has 2"),
    ],
)
def test_rejected(train_py: Cli, tiny: list[str], args: list[str], words: str) -> None:
    result = train_py(*tiny, *args)
    assert result.code == 2
    lines = result.err.strip().splitlines()
    assert len(lines) == 1, result.err
    assert words in lines[0]


@pytest.mark.parametrize("name", list(METHODS))
def test_weights_of_terms_are_rejected_where_nothing_reads_them(name: str) -> None:
    found = []
    for weight in ("distill.attention=0", "distill.attention=1"):
        GlobalHydra.instance().clear()
        size = "target=none" if name in OWN_SIZE else "target=2.5x"
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            composed = compose("train", overrides=[f"method={name}", size, weight])
        config = check(composed)
        found.append(make_method(config).maps)
    if found[0] != found[1]:  # without the term no maps are asked for
        check_unused(config, ["seed=2", "distill.attention=0"])
    else:
        with pytest.raises(LadaError, match=f"is not used(, since| by) method={name}"):
            check_unused(config, ["seed=2", "distill.attention=0"])


@pytest.mark.parametrize(("name", "taught"), [("kd", False), ("layerdrop", False), ("pkd", True)])
def test_no_teacher_runs_where_its_predictions_weigh_nothing(name: str, taught: bool) -> None:
    for alpha, expected in ((0.5, True), (0.0, taught)):
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            composed = compose(
                "train", overrides=[f"method={name}", "target=none", f"method.alpha={alpha}"]
            )
        assert make_method(check(composed)).taught == expected


@pytest.mark.parametrize("embedding", ["svd", "prune"])
@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("bilstm", ["method.hidden=8", "method.inner=8"]),
        ("minialbert", ["method.applications=1", "method.adapter=4"]),
    ],
)
def test_students_of_other_forms_meet_the_target(
    train_py: Cli, tiny: list[str], tmp_path: Path, name: str, sizes: list[str], embedding: str
) -> None:
    args = [f"method={name}", f"method.embedding={embedding}", "target=2.5x", *sizes]
    result = train_py(*tiny, *args)
    assert result.code == 0, result.err
    one_rank = (2000 + 64) / 83_000  # of what is left
    step = one_rank if embedding == "svd" else 1e-4
    assert 2.5 * (1 - 1e-4) <= record_of(tmp_path)["reached"] <= 2.5 * (1 + step)


def test_adapters_alone(train_py: Cli, tiny: list[str], teachers: Path, tmp_path: Path) -> None:
    """Whatever is shared stays the teacher's."""
    args = ["method=minialbert", "method.tune=adapters", "target=none", "artifact.values=fp32"]
    assert train_py(*tiny, *args).code == 0
    run, record = run_in(tmp_path), record_of(tmp_path)
    theirs = BertForSequenceClassification.from_pretrained(
        teachers / record["teacher"]["key"]
    ).state_dict()
    ours = lada.load(run / "artifact").model.state_dict()
    shared = [name for name in ours if name in theirs and not name.startswith("classifier")]
    assert len(shared) == 5 + 16 + 2
    assert all(torch.equal(ours[name], theirs[name]) for name in shared)
    assert not torch.equal(ours["classifier.weight"], theirs["classifier.weight"])


def test_early_exit_reports_score_against_layers(
    train_py: Cli, tiny: list[str], tmp_path: Path
) -> None:
    args = ["method=early_exit", "target=none", "optim.lr=3e-3", "method.threshold=0.45"]
    assert train_py(*tiny, *args).code == 0
    record = record_of(tmp_path)
    curve = record["exits"]["dev"]
    thresholds, layers = ([point[k] for point in curve] for k in ("threshold", "mean_layers"))
    assert thresholds == sorted(thresholds, reverse=True)
    assert layers == sorted(layers)
    assert layers[0] < layers[-1] == 2
    row = make_row(run_in(tmp_path), "none")
    assert row["exits"] == {"threshold": 0.45, "by_split": {"dev": curve}}
    scores = {who: record[who]["scores"]["dev"]["accuracy"] for who in ("teacher", "artifact")}
    own = next(point for point in curve if point["threshold"] == 0.45)
    assert own["accuracy"] == pytest.approx(scores["artifact"], abs=0.006)  # rows at the edge
    assert curve[-1]["accuracy"] == pytest.approx(scores["teacher"], abs=0.02)  # it is int8


def test_quantization_is_a_quarter_of_the_bytes(
    train_py: Cli, tiny: list[str], tmp_path: Path
) -> None:
    assert train_py(*tiny, "method=quantization", "target=none").code == 0
    record = record_of(tmp_path)
    assert record["artifact"]["nonzeros"] == record["teacher"]["parameters"]
    # The tiny model has many small matrices, which are fp16.
    assert record["artifact"]["stored_bytes"] < 0.35 * record["teacher"]["stored_bytes"]
    args = ["method=quantization", "target=none", "artifact.values=fp16"]
    assert "method=quantization stores int8" in train_py(*tiny, *args).err
    assert "Give target=none" in train_py(*tiny, "method=quantization", "target=5x").err
    assert "Give target=none" in train_py(*tiny, "method=early_exit", "target=5x").err
