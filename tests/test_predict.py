"""``lada predict``: one answer per line, whatever is in it."""

import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import ROOT, Result, small_bert
from hypothesis import given, settings
from hypothesis import strategies as st

import lada
from lada import cli
from lada.artifact import Answer
from lada.data import lines as reading
from lada.data.lines import Bad, Keys, read_items
from lada.nn.pretrained import load_tokenizer
from lada.predict import answered

TEXTS = ["not bad", "", "a\tb", '"quoted', "é 日本", "{not json}", "[1] a", " ", "x" * 200]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[bool | None, Path]:
    """Artifacts trained on pairs, on single texts, and of an earlier version (None)."""
    torch.manual_seed(0)
    model, root = small_bert().eval(), tmp_path_factory.mktemp("artifacts")
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.2)
    tokenizer = load_tokenizer(None, ["the soup was not bad at all"])
    for pairs in (True, False, None):
        about = {"max_length": 16} | ({} if pairs is None else {"pairs": pairs})
        lada.save(model, tokenizer, root / str(pairs), about)
    return {pairs: root / str(pairs) for pairs in (True, False, None)}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    def call(*args: object, stdin: bytes = b"") -> Result:
        monkeypatch.setattr("sys.argv", ["lada", "predict", *map(str, args)])
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        return Result(int(end.value.code or 0), *capfd.readouterr())

    return call


def answers(result: Result) -> list[dict[str, Any]]:
    assert result.code == 0, result.err
    return [json.loads(line) for line in result.out.splitlines()]


def expected(folder: Path, texts: list[Any]) -> list[dict[str, Any]]:
    found = lada.load(folder).classify(texts)
    return [{"label": a.label, "probability": pytest.approx(a.probability, abs=2e-6)}
            for a in found]  # fmt: skip


def write(path: Path, content: str | bytes) -> Path:
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def test_arguments(run, folders) -> None:
    assert answers(run(folders[False], "not bad")) == expected(folders[False], ["not bad"])
    assert answers(run(folders[True], "a", "b")) == expected(folders[True], [("a", "b")])
    assert answers(run(folders[None], "a", "b")) == expected(folders[None], [("a", "b")])


def csv_of(rows: list[list[str]], delimiter: str = ",") -> str:
    import csv

    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return out.getvalue()


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("kind", ["txt", "jsonl", "strings", "array", "objects", "csv", "tsv"])
def test_every_kind_of_file(run, folders, tmp_path: Path, kind: str, end: str) -> None:
    content, name = {
        "txt": ("\n".join(TEXTS) + "\n", "a.txt"),
        "jsonl": ("".join(json.dumps({"text": t, "more": 1}) + "\n" for t in TEXTS), "a.jsonl"),
        "strings": ("".join(json.dumps(t) + "\n" for t in TEXTS), "a.ndjson"),
        "array": (json.dumps(TEXTS, indent=1), "a.json"),
        "objects": (json.dumps([{"text": t, "text_pair": None} for t in TEXTS]), "a.json"),
        "csv": (csv_of([["id", "text"], *(["1", t] for t in TEXTS)]), "a.csv"),
        "tsv": (csv_of([["id", "text"], *(["1", t] for t in TEXTS)], "\t"), "a.tsv"),
    }[kind]
    file = write(tmp_path / f"{name}{end}", content)
    assert answers(run(folders[False], "--file", file)) == expected(folders[False], TEXTS)


PAIRS = [("a", "b"), ("not bad", ""), ("", "x"), ("é", '"'), ("a,b", "c d")]


@pytest.mark.parametrize("pairs", [True, None])
@pytest.mark.parametrize("kind", ["txt", "jsonl", "arrays", "array", "csv", "tsv", "stdin"])
def test_every_kind_of_pairs(run, folders, tmp_path: Path, kind: str, pairs: bool | None) -> None:
    objects = [{"q": a, "a": b} for a, b in PAIRS]
    tabs = "".join(f"{a}\t{b}\n" for a, b in PAIRS)
    content, name, options = {
        "txt": (tabs, "a.txt", ()),
        "stdin": (tabs, "", ()),
        "jsonl": ("\n".join(map(json.dumps, objects)), "a.jsonl", ("--text=q", "--text-pair=a")),
        "arrays": ("".join(json.dumps(p) + "\n" for p in PAIRS), "a.jsonl", ()),
        "array": (json.dumps(PAIRS), "a.json", ()),
        "csv": (csv_of([["q", "a"], *map(list, PAIRS)]), "a.csv", ("--text=q", "--text-pair=a")),
        "tsv": ("text_pair\ttext\n" + "".join(f"{b}\t{a}\n" for a, b in PAIRS), "a.tsv", ()),
    }[kind]
    where = ("--file", write(tmp_path / name, content)) if name else ()
    found = run(folders[pairs], *where, *options, stdin=b"" if name else content.encode())
    assert answers(found) == expected(folders[pairs], PAIRS)


def test_blank_lines_are_answered(run, folders, tmp_path: Path) -> None:
    (empty, soup) = expected(folders[False], ["", "soup"])
    for content in (b"\n\nsoup\n\n", b"\r\n\r\nsoup\r\n\r\n", b" \n\t\nsoup\n\n"):
        found = answers(run(folders[False], stdin=content))
        assert [a["label"] for a in found] == [a["label"] for a in (empty, empty, soup, empty)]
    assert answers(run(folders[False], stdin=b'\n{"text": "soup"}\n\n')) == [empty, soup, empty]
    assert answers(run(folders[False], stdin=b"")) == []
    assert answers(run(folders[False], stdin=b"\n")) == [empty]
    assert answers(run(folders[None], stdin=b"\n\n\n")) == [empty] * 3
    assert len(answers(run(folders[True], stdin=b"\na\tb\n\n"))) == 3
    table = write(tmp_path / "a.csv", "text,x\nsoup,1\n\n")
    assert answers(run(folders[False], "--file", table)) == [soup, empty]
    assert answers(run(folders[False], "--file", write(tmp_path / "e.csv", ""))) == []
    assert answers(run(folders[False], "--file", write(tmp_path / "e.json", "[]"))) == []


@pytest.mark.parametrize(
    ("pairs", "name", "content", "bad", "words"),
    [
        (False, "a.jsonl", b'{"text": "a"}\n{"text": \n"b"\n', [1], "line 2: is not JSON"),
        (False, "a.jsonl", b'{"txt": "a"}\n', [0], "line 1: the object: has no column 'text'"),
        (False, "a.jsonl", b'{"text": 1}\n{"text": null}\n[]\n3\n"a"\n', [0, 1, 2, 3], "4 of 5"),
        (False, "a.jsonl", b'{"text": "\\ud83d"}\n"a"\n', [0], "line 1: holds half"),
        (False, "a.jsonl", b"[" * 100_000 + b"\n", [0], "line 1"),
        (False, "a.jsonl", b'"a"\n["a", "b"]\n', [1], "line 2: is a pair of texts"),
        (False, "a.json", b'["a", 1, "b"]', [1], "line 2: is 1"),
        (False, "a.csv", b"text,n\na,1\nb\nc,1\n", [1], "line 3: has 1 fields"),
        (False, "", b"a\n\xff\xfe\nb\n", [1], "line 2: is not UTF-8"),
        (True, "", b"a\tb\nc\n", [1], "line 2: has no tab"),
        (True, "a.jsonl", b'["a", "b"]\n"c"\n["a"]\n', [1, 2], "line 2: is a single text"),
        (None, "", b"\na\tb\nc\n", [2], "line 3: has no tab"),
        (None, "a.jsonl", b'"a"\n["b", "c"]\n', [1], "line 2: is a pair of texts"),
    ],
)
def test_what_cannot_be_answered_keeps_its_place(
    run, folders, tmp_path: Path, pairs, name: str, content: bytes, bad: list[int], words: str
) -> None:
    where = ("--file", write(tmp_path / name, content)) if name else ()
    result = run(folders[pairs], *where, stdin=content)
    assert result.code == 2
    assert words in result.err
    assert len(result.err.strip().splitlines()) == 1
    found = [json.loads(line) for line in result.out.splitlines()]
    assert [i for i, answer in enumerate(found) if "error" in answer] == bad
    assert all("label" in a or isinstance(a["error"], str) for a in found)


@pytest.mark.parametrize(
    ("name", "content", "options", "words"),
    [
        ("a.csv", b"x,label\n1,2\n", (), "no column 'text'"),
        ("a.csv", b"x,label\n1,2\n", ("--text=y",), "no column 'y'"),
        ("a.csv", b"text,x\n1,2\n", ("--text-pair=y",), "no column 'y'"),
        ("a.csv", b'text,x\n"1,2\n', (), "malformed row"),
        ("a.csv", b"text,x\n1,2\n\xff,1\n", (), "line 3: is not UTF-8"),
        ("a.json", b'["a", ', (), "is not JSON"),
        ("a.txt", b"a\n", ("--text=x",), "plain lines"),
        ("a.gz", b"", (), None),
        ("missing.csv", None, (), "missing.csv"),
        ("folder", "folder", (), "folder"),
        ("a\0b", None, (), "null byte"),
    ],
)
def test_files_that_cannot_be_read(run, folders, tmp_path, name, content, options, words) -> None:
    file = tmp_path / name
    if content == "folder":
        file.mkdir()
    elif content is not None:
        write(file, content)
    result = run(folders[False], "--file", file, *options)
    if words is None:
        assert result.code == 0
        return
    assert result.code == 2
    assert len(result.err.strip().splitlines()) == 1
    assert words in result.err


def test_broken_gzip_and_arguments(run, folders, tmp_path: Path) -> None:
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"soup\n" * 9999)[:-12])
    (tmp_path / "b.txt.gz").write_bytes(b"soup\n")
    for args, words in (
        (("--file", tmp_path / "a.txt.gz"), "corrupt gzip"),
        (("--file", tmp_path / "b.txt.gz"), "corrupt gzip"),
        (("a", "b"), "trained on single texts"),
        (("a", "--text", "x"), "--text"),
        (("a", "--file", "x"), "not both"),
    ):
        result = run(folders[False], *args)
        assert (result.code, words in result.err) == (2, True), result.err
    result = run(folders[True], "a")
    assert (result.code, "trained on pairs" in result.err) == (2, True)


def test_closed_input(run, folders, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    monkeypatch.setattr("sys.argv", ["lada", "predict", str(folders[False])])
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    assert capfd.readouterr().err == ("error: standard input: is closed. Give a text or --file.\n")


class Fake:
    """Answers without a model, and remembers what it was given."""

    def __init__(self, pairs: bool | None):
        self.pairs = pairs
        self.batches: list[list[Any]] = []
        self.check = lambda row, pairs: lada.Classifier.check(self, row, pairs)  # type: ignore

    def classify(self, texts: list[Any], batch_size: int) -> list[Answer]:
        self.batches.append(texts)
        return [Answer(str(text), 1.0) for text in texts]


any_text = st.text(st.characters(exclude_categories=()), max_size=30)
no_newline = any_text.map(lambda text: text.replace("\n", " "))
options = settings(max_examples=300)


any_bytes = st.binary(max_size=40).map(lambda line: line.replace(b"\n", b""))
suffixes = st.sampled_from(["", ".txt", ".jsonl", ".json"])


@given(st.lists(any_bytes, max_size=80), st.sampled_from([True, False, None]), suffixes)
@options
def test_n_lines_n_answers_of_any_bytes(lines: list[bytes], pairs, suffix: str) -> None:
    if suffix == ".json" and b"".join(lines).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        return  # may be an array
    items = read_items(io.BytesIO(b"".join(x + b"\n" for x in lines)), "x", suffix, pairs=pairs)
    found = list(answered(Fake(pairs), items))  # type: ignore[arg-type]
    assert [number for number, _ in found] == list(range(1, len(lines) + 1))


@given(st.lists(no_newline, max_size=80))
@options
def test_plain_lines_are_answered_as_they_are(lines: list[str]) -> None:
    content = "".join(line + "\n" for line in lines).encode("utf-8", "surrogatepass")
    items = read_items(io.BytesIO(content), "x", ".txt", pairs=False)
    found = [answer for _, answer in answered(Fake(False), items)]  # type: ignore[arg-type]
    assert len(found) == len(lines)
    for place, (line, answer) in enumerate(zip(lines, found, strict=True)):
        if any("\ud800" <= c <= "\udfff" for c in line):
            assert isinstance(answer, Bad)
        else:
            line = line.removesuffix("\r")
            line = line.removeprefix("\ufeff") if place == 0 else line
            assert answer == Answer(line if line.strip() else "", 1.0)


@given(st.lists(any_text, max_size=80), st.booleans(), st.booleans())
@options
def test_json_lines_are_answered_as_they_are(texts: list[str], pairs: bool, ascii_: bool) -> None:
    if not ascii_:
        texts = [text.encode("utf-8", "replace").decode() for text in texts]
    rows = [{"t": text, "p": text[::-1]} if pairs else {"t": text} for text in texts]
    content = "".join(json.dumps(row, ensure_ascii=ascii_) + "\n" for row in rows)
    keys = Keys("t", "p" if pairs else None)
    items = read_items(io.BytesIO(content.encode()), "x", ".jsonl", keys, pairs)
    found = [answer for _, answer in answered(Fake(pairs), items)]  # type: ignore[arg-type]
    assert len(found) == len(texts)
    for text, answer in zip(texts, found, strict=True):
        if any("\ud800" <= c <= "\udfff" for c in text):
            assert isinstance(answer, Bad)
        else:
            assert answer == Answer(str((text, text[::-1])) if pairs else text, 1.0)


def test_it_streams_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = 0

    class Source(io.BytesIO):
        def readline(self, size: int | None = -1) -> bytes:
            nonlocal seen
            seen += 1
            return b"a\n" if seen <= 1000 else b""

    model = Fake(False)
    found = answered(model, read_items(Source(), "x", pairs=False))  # type: ignore[arg-type]
    next(found)
    assert seen <= 40
    assert len(list(found)) == 999
    assert max(map(len, model.batches)) == 32
    model = Fake(False)
    long = io.BytesIO(b"".join(b"a" * 10**6 + b"\n" for _ in range(20)))
    list(answered(model, read_items(long, "x", pairs=False)))  # type: ignore[arg-type]
    assert max(map(len, model.batches)) == 3


def test_a_line_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LINE_BYTES", 100)
    content = b"a" * 100 + b"\n" + b"b" * 101 + b"\n" + b"c" * 950 + b"\nd\n" + b"e" * 101
    items = [item for _, item in read_items(io.BytesIO(content), "x", pairs=False)]
    assert [isinstance(item, Bad) for item in items] == [False, True, True, False, True]
    table = io.BytesIO(b'text,x\n"a,\n' + b"b\n" * 200)
    with pytest.raises(lada.LadaError, match="line 2: a quoted field does not end"):
        list(read_items(table, "x", ".csv"))


def test_tsv_has_quoting_only_if_it_balances() -> None:
    def texts(content: str) -> list[Any]:
        return [i[0] for _, i in read_items(io.BytesIO(content.encode()), "x", ".tsv")]  # type: ignore

    assert texts('text\tn\n"a ""b"""\t1\nc\t2\n') == ['a "b"', "c"]
    assert texts('text\tn\n"a\t1\nc"\t2\nd\t3\n') == ['"a', 'c"', "d"]
    assert texts('text\tn\n"a\t1\nc\t2\n') == ['"a', "c"]
    assert texts('text\tn\n"a\nb"\t1\nc\t2\n') == ["a\nb", "c"]


@pytest.fixture(scope="module")
def device() -> Path:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    return Path("/dev/full")


def command(*args: object) -> list[str]:
    return [sys.executable, "-m", "lada", *map(str, args)]


@pytest.mark.slow
def test_closed_and_full_outputs(folders, device: Path, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    texts = write(tmp_path / "a.txt", "soup\n" * 300)
    args = command("predict", folders[False], "--file", texts)
    with device.open("w") as full:
        done = subprocess.run(args, stdout=full, stderr=subprocess.PIPE, env=env, text=True)
    assert done.returncode == 2
    assert done.stderr == "error: standard input or output: No space left on device\n"
    read, write_end = os.pipe()
    os.close(read)
    for call in (args, command("predict", folders[False], "soup")):  # while it runs, at the end
        done = subprocess.run(call, stdout=write_end, stderr=subprocess.PIPE, env=env, text=True)
        assert (done.returncode, done.stderr) == (1, "")
    os.close(write_end)


@pytest.mark.slow
def test_a_long_line_takes_bounded_memory(folders, tmp_path: Path) -> None:
    """Ten million characters: they took 2 GB and more."""
    text = "the soup " * (10**7 // 9)
    file = write(tmp_path / "a.txt", f"{text}\nsoup\n{text}\n")
    code = (
        "import resource, sys\n"
        "from lada.cli import main\n"
        "import lada\n"
        f"lada.load({str(folders[False])!r})('a')\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"sys.argv = ['lada', 'predict', {str(folders[False])!r}, '--file', {str(file)!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, file=sys.stderr)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert len(done.stdout.splitlines()) == 3, done.stderr
    assert int(done.stderr.splitlines()[-1]) < 300_000  # kB
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found[0]["label"] == lada.load(folders[False])(text[:900]).label
