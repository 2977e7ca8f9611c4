"""Every family of encoders with every head: counted, saved and loaded."""

from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from lada.errors import LadaError
from lada.nn.families import FAMILIES, encoder_prefix, usable_positions, word_embeddings
from lada.nn.pretrained import load_classifier
from lada.nn.surgery import inventory
from tests.families import batch, tiny

AUTOS = (
    "AutoModelForSequenceClassification",
    "AutoModelForTokenClassification",
    "AutoModelForQuestionAnswering",
    "AutoModel",
)
# Linear layers by hand: 6 of each of 2 layers; electra and albert also widen their embeddings,
# albert has one layer for both, and ModernBERT fuses query, key and value.
LINEAR = {"electra": 13, "albert": 7, "modernbert": 8}

every_head = pytest.mark.parametrize("auto", AUTOS)
every_family = pytest.mark.parametrize("family", list(FAMILIES))


@every_head
@every_family
def test_every_parameter_is_counted_once(family: str, auto: str) -> None:
    model = tiny(family, auto)
    counted = inventory(model)
    matrices = {f"{m.name}.weight": (m.rows, m.cols) for m in counted.matrices}
    found = dict(model.named_parameters())
    assert matrices.items() <= {name: tuple(p.shape) for name, p in found.items()}.items()
    assert counted.total == sum(p.numel() for p in found.values())
    assert [m.name for m in counted.matrices if m.embedding] == [word_embeddings(model)]
    assert len(matrices) == 1 + LINEAR.get(family, 12)
    head = sum(p.numel() for n, p in found.items() if not n.startswith(encoder_prefix(model)))
    assert counted.whole.get("classifier", 0) == head


@every_head
@every_family
def test_a_model_comes_back_from_its_folder(family: str, auto: str, tmp_path: Path) -> None:
    model = tiny(family, auto)
    model.save_pretrained(tmp_path)
    read = load_classifier(tmp_path, ("good", "bad"), 0, fine_tuned=True, auto=auto).eval()
    assert type(read) is type(model)
    given = batch(model)
    if not FAMILIES[family].types:
        del given["token_type_ids"]
    with torch.no_grad():
        ours, theirs = read(**given)[0], model(**given)[0]
    ordered = "Sequence" in auto or "Token" in auto  # the classes were stored as bad, good
    torch.testing.assert_close(ours, theirs.flip(-1) if ordered else theirs)


@every_head
@every_family
def test_an_encoder_gets_a_new_head(family: str, auto: str, tmp_path: Path) -> None:
    stored = tiny(family)
    stored.save_pretrained(tmp_path)
    model = load_classifier(tmp_path, ("a", "b", "c"), 0, auto=auto)
    again = load_classifier(tmp_path, ("a", "b", "c"), 0, auto=auto)
    row, prefix = FAMILIES[family], encoder_prefix(model)
    theirs = stored.state_dict()
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, again.state_dict()[name])
        if name.startswith(prefix):
            inner = name.removeprefix(prefix)
            torch.testing.assert_close(tensor, theirs[f"{row.encoder}.{inner}"])
    if auto == "AutoModel":
        assert not any("pooler" in name for name, _ in model.named_parameters())


@every_family
def test_what_lacks_or_misfits_is_named(family: str, tmp_path: Path) -> None:
    smaller = tiny(family, num_hidden_layers=1, intermediate_size=24)
    smaller.save_pretrained(tmp_path)
    whole = tiny(family, "AutoModel")
    whole.config.save_pretrained(tmp_path)
    with pytest.raises(LadaError, match="is missing or has another shape"):
        load_classifier(tmp_path, ("bad", "good"), 0)


@every_family
def test_every_usable_position_can_be_read_and_no_more(family: str) -> None:
    model = tiny(family)
    longest = usable_positions(model.config)
    assert longest == 48
    ids = torch.full((1, longest), 7)
    assert bool(torch.isfinite(model(input_ids=ids).logits).all())
    if FAMILIES[family].offset:
        with pytest.raises((IndexError, RuntimeError)):
            model(input_ids=torch.full((1, longest + 1), 7))


def test_the_last_layer_of_a_head_may_be_missing(tmp_path: Path) -> None:
    model: PreTrainedModel = tiny("roberta", "AutoModel")
    model.save_pretrained(tmp_path)
    with pytest.raises(LadaError, match=r"classifier\.weight is missing or not a matrix"):
        load_classifier(tmp_path, ("bad", "good"), 0, fine_tuned=True)
