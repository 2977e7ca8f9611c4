"""The tokenizer's files are bound to the artifact: what is other than recorded is rejected."""

import hashlib
import json
import os
import random
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig, AutoModelForSequenceClassification, pipeline

import lada
from lada.artifact import accept, container, measure
from lada.artifact.config import read_config
from lada.artifact.files import check_files
from lada.errors import LadaError

OLD = Path(__file__).parent / "version_1.0"
FOUR = ("special_tokens_map.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt")


def auto(folder: Path) -> Any:
    return AutoModelForSequenceClassification.from_pretrained(folder)


@pytest.fixture
def four(folder: Path) -> Path:
    """An artifact with the files of older tokenizers too, which are recorded."""
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    words = sorted(vocabulary, key=vocabulary.__getitem__)
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    special = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]"}
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    accept(folder, ["vocab.txt", "special_tokens_map.json"])
    return folder


def change_json(file: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def rejected(folder: Path, load: Callable[[Path], Any], *words: str) -> str:
    with pytest.raises(LadaError) as caught:
        load(folder)
    line = str(caught.value)
    assert "\n" not in line
    assert all(word in line for word in words), line
    return line


def test_what_is_recorded(four: Path) -> None:
    config = json.loads((four / "config.json").read_text())
    assert config["lada"]["version"] == "2.0"
    expected = {name: hashlib.sha256((four / name).read_bytes()).hexdigest() for name in FOUR}
    assert config["lada"]["files"] == expected
    lada.load(four)
    auto(four)


@pytest.mark.parametrize("name", FOUR)
@pytest.mark.parametrize("load", [lada.load, auto])
def test_modified_missing_and_swapped(four: Path, name: str, load: Any) -> None:
    file = four / name
    whole = file.read_bytes()
    file.write_bytes(whole + b" ")
    line = rejected(four, load, f"{name} is modified", f"lada verify {four} --accept {name}")
    assert sum(line.count(f"{other} is") for other in FOUR) == 1
    file.unlink()
    rejected(four, load, f"{name} is missing")
    shutil.copy(four / FOUR[FOUR.index(name) - 1], file)
    rejected(four, load, f"{name} is modified")
    file.write_bytes(whole)
    load(four)


@pytest.mark.parametrize(
    "name",
    [
        "added_tokens.json",
        "merges.txt",
        "vocab.json",
        "vocab.txt",
        "special_tokens_map.json",
        "sentencepiece.bpe.model",
        "tokenizer.model",
        "tokenizer.4.0.json",
        "chat_template.jinja",
        "additional_chat_templates/other.jinja",
        "processor_config.json",
        "tekken.json",
        "adapter_config.json",
    ],
)
def test_added(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("{}")
    rejected(folder, lada.load, f"{name} is added")
    accept(folder, [name])
    (folder / name).unlink()
    rejected(folder, lada.load, f"{name} is missing")
    accept(folder, [str(folder / name)])
    lada.load(folder)


def test_what_decides_nothing_may_change(folder: Path) -> None:
    files = ["README.md", "notes.txt", "results.json", ".gitattributes"]
    for name in (*files, "tokenizer.json~", "vocab.txt.bak", "._tokenizer.json"):
        (folder / name).write_text("anything")
    (folder / "plots").mkdir()
    lada.load(folder)
    auto(folder)


def test_several_are_named_at_once_and_quoted(four: Path) -> None:
    folder = four.rename(four.with_name("it's an artifact"))
    (folder / "vocab.txt").unlink()
    (folder / "my tokenizer.x.json").touch()
    line = rejected(folder, lada.load, "vocab.txt is missing", "my tokenizer.x.json is added")
    assert "--accept 'my tokenizer.x.json' --accept vocab.txt" in line
    assert """'"'"'s an artifact'""" in line


def test_a_model_alone(folder: Path) -> None:
    """Copied without its tokenizer it is a model all the same, but answers no text."""
    (folder / "tokenizer.json").unlink()
    rejected(folder, auto, "tokenizer.json is missing")
    (folder / "tokenizer_config.json").unlink()
    auto(folder)
    AutoConfig.from_pretrained(folder)
    rejected(folder, lada.load, "tokenizer.json is missing, tokenizer_config.json is missing")


def test_a_folder_that_is_read_file_by_file(four: Path) -> None:
    """As from the hub's cache: what is not there yet is not missing, what is there must fit."""
    recorded = read_config(four / "config.json")["lada"]["files"]
    (four / "tokenizer.json").unlink()
    check_files(four, recorded, partial=True)
    rejected(four, lambda folder: check_files(folder, recorded), "tokenizer.json is missing")
    (four / "vocab.txt").write_text("[PAD]")
    rejected(four, lambda f: check_files(f, recorded, partial=True), "vocab.txt is modified")


def test_a_pipeline_rejects_what_was_modified(folder: Path) -> None:
    change_json(folder / "tokenizer_config.json", lambda c: c.update(do_lower_case=False))
    with pytest.raises(Exception, match=r"tokenizer_config\.json is modified"):
        pipeline("text-classification", model=str(folder))


def test_an_accepted_edit(folder: Path) -> None:
    before = lada.load(folder)("the soup was not bad")
    tensors = measure(folder)
    change_json(folder / "tokenizer_config.json", lambda c: c.update(model_max_length=16))
    rejected(folder, lada.load, "tokenizer_config.json is modified")
    accept(folder, ["tokenizer_config.json"])
    assert lada.load(folder)("the soup was not bad") == before
    auto(folder)
    assert measure(folder)["nonzeros"] == tensors["nonzeros"]
    (folder / "config.json").write_text((folder / "config.json").read_text())
    first = {f.name: f.read_bytes() for f in folder.iterdir()}
    accept(folder, ["tokenizer_config.json"])  # once more changes nothing
    assert {f.name: f.read_bytes() for f in folder.iterdir()} == first


def test_only_what_is_named_is_accepted(four: Path) -> None:
    for name in FOUR[:2]:
        change_json(four / name, lambda c: c.update(more=1))
    with pytest.raises(LadaError):  # tokenizers knows no such key
        accept(four, ["special_tokens_map.json"])
    change_json(four / "tokenizer.json", lambda c: c.pop("more"))
    accept(four, ["special_tokens_map.json"])
    rejected(four, lada.load, "tokenizer.json is modified")
    for name in ("config.json", "nothing.json", "../x", "model.safetensors", ""):
        with pytest.raises(LadaError, match="not a file of the tokenizer"):
            accept(four, [name])
    rejected(four, lada.load, "tokenizer.json is modified")


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_acceptance_that_was_killed_is_done_again(
    folder: Path, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before either file takes its new name."""
    change_json(folder / "tokenizer_config.json", lambda c: c.update(model_max_length=16))
    replace = os.replace

    def killed(source: Any, target: Any) -> None:
        if Path(target).name == file:
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            accept(folder, ["tokenizer_config.json"])
    rejected(folder, lada.load)
    accept(folder, ["tokenizer_config.json"])
    lada.load(folder)
    assert len(list(folder.iterdir())) == 4


def test_damage_is_not_accepted(folder: Path) -> None:
    """The tensors keep their checksums, and another model's config its digest."""
    change_json(folder / "tokenizer_config.json", lambda c: c.update(model_max_length=16))
    config = (folder / "config.json").read_text()
    change_json(folder / "config.json", lambda c: c.update(num_attention_heads=4))
    with pytest.raises(LadaError, match="belongs to another config"):
        accept(folder, ["tokenizer_config.json"])
    (folder / "config.json").write_text(config)
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-5] ^= 1
    weights.write_bytes(content)
    accept(folder, ["tokenizer_config.json"])
    rejected(folder, lada.load, "is corrupt")


def test_an_artifact_of_version_1(tmp_path: Path) -> None:
    """It has no digests, until its tokenizer is accepted."""
    folder = tmp_path / "old"
    shutil.copytree(OLD, folder)
    change_json(folder / "tokenizer_config.json", lambda c: c.update(model_max_length=16))
    answer = lada.load(folder)("the soup")
    accept(folder, ["tokenizer.json"])
    ours = read_config(folder / "config.json")["lada"]
    assert (ours["version"], set(ours["files"])) == ("2.0", set(FOUR[1:3]))
    assert lada.load(folder)("the soup") == answer
    change_json(folder / "tokenizer_config.json", lambda c: c.update(model_max_length=12))
    rejected(folder, lada.load, "tokenizer_config.json is modified")


def test_loading_leaves_no_trace_in_the_tokenizer(folder: Path, tmp_path: Path) -> None:
    classifier = lada.load(folder)
    lada.save(classifier.model, classifier.tokenizer, tmp_path / "again", classifier.about)
    content = json.loads((tmp_path / "again/tokenizer.json").read_text())
    assert content["padding"] is None
    assert content["truncation"] is None


def test_saving_records_anew(folder: Path, tmp_path: Path) -> None:
    """Of a tokenizer object that was changed; a model saved alone records none."""
    classifier = lada.load(folder)
    classifier.tokenizer.model_max_length = 16
    lada.save(classifier.model, classifier.tokenizer, tmp_path / "again", classifier.about)
    assert lada.load(tmp_path / "again")("the soup") == classifier("the soup")
    first, second = (read_config(f / "config.json")["lada"] for f in (folder, tmp_path / "again"))
    assert first["files"].keys() == second["files"].keys()
    assert first["files"] != second["files"]
    classifier.model.save_pretrained(tmp_path / "alone")
    classifier.tokenizer.save_pretrained(tmp_path / "alone")
    assert "files" not in read_config(tmp_path / "alone/config.json")["lada"]
    assert lada.load(tmp_path / "alone")("the soup") == classifier("the soup")


HOSTILE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "more words than the model": lambda c: c["model"]["vocab"].update(more=2000),
    "a word's id": lambda c: c["model"]["vocab"].update({"[unused7]": 10**6}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_ids_that_the_model_has_not(folder: Path, tmp_path: Path, name: str) -> None:
    """Rejected when loaded, not by an IndexError at the first text; nor accepted."""
    change_json(folder / "tokenizer.json", HOSTILE[name])
    with pytest.raises(LadaError, match=r"its model|be used"):
        accept(folder, ["tokenizer.json"])
    rejected(folder, lada.load, "tokenizer.json is modified")
    old = tmp_path / "old"
    shutil.copytree(OLD, old)
    change_json(old / "tokenizer.json", HOSTILE[name])
    rejected(old, lada.load, "its model")


@pytest.mark.parametrize(
    "found",
    [
        {"input_ids": [2, 2000, 3]},
        {"input_ids": [2, -1, 3]},
        {"input_ids": [2, 5, 3], "token_type_ids": [0, 2, 0]},
    ],
)
def test_ids_of_a_text_that_the_model_has_not(
    folder: Path, found: dict[str, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from a tokenizer whose special tokens have ids of their own."""
    tokenizer = lada.load(folder).tokenizer
    monkeypatch.setattr(type(tokenizer), "__call__", lambda *args, **kwargs: found)
    rejected(folder, lada.load, "returns ids that its model does not have")


def odd_texts(count: int) -> list[str]:
    """Words, letters of all planes, controls, spaces, combining marks, long and empty ones."""
    draw = random.Random(5)
    known = [
        "soup",
        "bad",
        "[CLS]",
        "[PAD]",
        "##s",
        "\u00e9",
        "e\u0301",
        "\u0130",
        "\u4e2d",
        "\ufdfa",
    ]
    out = [
        "",
        " ",
        "\0",
        "\u200b",
        "\ufeff",
        "a" * 300,
        "\U0001f469\u200d\U0001f680",
        "soup\tbad\n",
    ]
    while len(out) < count:
        letters = (chr(draw.randrange(0x20, 0x30000)) for _ in range(draw.randrange(1, 30)))
        text = "".join(c for c in letters if unicodedata.category(c) != "Cs")
        out.append(draw.choice(["", " "]).join([draw.choice(known), text, draw.choice(known)]))
    return out


def damage(draw: random.Random, folder: Path) -> None:
    """Change one of the four files at random: bytes, a cut, JSON, its place; or add another."""
    file = folder / draw.choice(FOUR)
    content = bytearray(file.read_bytes())
    way = draw.randrange(8)
    if way < 3:
        for _ in range(draw.choice([1, 1, 2, 20])):
            content[draw.randrange(len(content))] = draw.randrange(256)
    elif way == 3:
        del content[draw.randrange(len(content)) :]
    elif way == 4:
        at = draw.randrange(len(content))
        content[at:at] = bytes(draw.randrange(256) for _ in range(draw.randrange(1, 9)))
    elif way == 5 and file.suffix == ".json":
        value = json.loads(content)
        owner = value["model"] if "model" in value and draw.random() < 0.7 else value
        key = draw.choice(sorted(owner))
        owner[key] = draw.choice([None, 0, "x", [], {}, True, -1, {"a": 1}, "[UNK]"])
        content = bytearray(json.dumps(value, indent=draw.choice([None, 2])).encode())
    elif way == 6:
        file.unlink()
        return
    else:
        names = ["added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model", "spiece.model"]
        (folder / draw.choice(names)).write_bytes(content[: draw.randrange(len(content))])
        return
    file.write_bytes(content)


def tried(folder: Path, texts: list[str]) -> tuple[str | None, Any]:
    """The message where it is rejected, or None and the tokens of texts."""
    try:
        return None, lada.load(folder).tokenizer(texts)["input_ids"]
    except LadaError as error:
        return str(error), None


def test_five_hundred_damaged_tokenizers(four: Path) -> None:
    """Each is rejected in one line, or gives the same tokens; restored, it loads."""
    draw = random.Random(11)
    whole = {file.name: file.read_bytes() for file in four.iterdir()}
    texts = odd_texts(200)
    expected = lada.load(four).tokenizer(texts)["input_ids"]
    found = 0
    for i in range(500):
        damage(draw, four)
        line, tokens = tried(four, texts)
        found += line is not None
        assert line is None or "\n" not in line
        assert tokens == expected if line is None else "lada verify" in line
        for file in four.iterdir():
            if file.name not in whole:
                file.unlink()
        for name, content in whole.items():
            (four / name).write_bytes(content)
        if i % 100 == 0:
            assert lada.load(four).tokenizer(texts)["input_ids"] == expected
    assert found > 480  # a byte that is replaced by itself is no damage


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", *FOUR])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "endless"])
def test_what_is_no_regular_file(four: Path, tmp_path: Path, name: str, kind: str) -> None:
    """Neither waited for nor read to the end of memory."""
    (four / name).unlink()
    if kind == "pipe":
        os.mkfifo(four / name)
    elif kind == "folder":
        (four / name).mkdir()
    else:
        (four / name).symlink_to("/dev/null" if kind == "device" else "/dev/zero")
    for read in (lada.load, measure, lambda folder: accept(folder, ["tokenizer.json"])):
        if read is measure and name in FOUR:
            continue
        if name in FOUR and kind == "folder":
            with pytest.raises(LadaError, match=r"regular file|missing|tokenizer"):
                lada.load(four)
        else:
            rejected(four, read, name)


def test_too_large_files(four: Path) -> None:
    for name in FOUR[1:]:
        whole = (four / name).read_bytes()
        with (four / name).open("r+b") as file:
            file.truncate(10**12)  # no such room is taken
        rejected(four, lada.load, f"{name}: is larger than")
        (four / name).write_bytes(whole)
    with (four / "config.json").open("r+b") as file:
        file.truncate(10**12)
    rejected(four, lada.load, "config.json: is larger than")


@pytest.mark.parametrize(
    "files",
    [None, 3, [], {"tokenizer.json": 5}, {"tokenizer.json": "00"}, {"../x": "0" * 64},
     {"/etc/passwd": "0" * 64}, {"": "0" * 64}, {"tokenizer.json": "G" * 64}],
)  # fmt: skip
def test_digests_that_are_none(folder: Path, files: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["lada"]["files"] = files
    if files is None:
        config["lada"].pop("files")
    with container.reading(
        folder / "model.safetensors", read_config(folder / "config.json")
    ) as blobs:
        packed = {name: blobs.packed(name) for name in blobs.names}
    container.write(folder / "model.safetensors", packed, config)
    (folder / "config.json").write_text(json.dumps(config))
    rejected(folder, lada.load, "'files' must map names")
