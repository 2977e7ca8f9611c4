"""``lada``: make, use, inspect, check and convert a compressed model.

Each command imports what it needs: help and a wrong command line do not wait for torch.
"""

import json
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from lada import __version__, artifact
from lada.artifact.forms import ENGINES, FORMS
from lada.errors import LadaError

if TYPE_CHECKING:
    from lada.data.lines import Keys, Row

app = typer.Typer(
    help="Make a compressed model; use, inspect, check and convert one (artifact/ of a run).",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Folder = Annotated[Path, typer.Argument(help="the artifact/ folder of a run", metavar="FOLDER")]


def main() -> None:
    """The entry point: a user's mistake gives one line and exit code 2."""
    if len(sys.argv) == 1:
        sys.argv.append("--help")
    try:
        if sys.stdout is None:
            raise LadaError("standard output: is closed. Give it a file or a pipe.")
        code = app(prog_name="lada", standalone_mode=False)
        sys.stdout.flush()  # at the exit of the interpreter an error would come too late
    except LadaError as error:
        _fail(str(error))
    except typer.Abort:
        sys.exit(130)
    except BrokenPipeError:
        # The reader has closed the pipe, as `head` does: no message, as typer does in a command.
        _drop_output()
        sys.exit(1)
    except OSError as error:
        _fail(f"{error.filename or 'standard input or output'}: {error.strerror}")
    except Exception as error:
        # Of click, which typer may bring along under a name of its own.
        if not hasattr(error, "format_message"):
            raise
        _fail(f"{error.format_message()}; see lada --help")
    sys.exit(code if isinstance(code, int) else 0)


def _fail(line: str) -> None:
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        _drop_output()
    if sys.stderr is not None:  # else print would take standard output
        print(f"error: {' '.join(line.split())}", file=sys.stderr)
    sys.exit(2)


def _drop_output() -> None:
    """Discard unwritten output: the interpreter would try again at its exit, and fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _hide_bars() -> None:
    """Show no progress bars of transformers: loading and writing take well under a second."""
    from transformers.utils import logging as hf_logging

    hf_logging.disable_progress_bar()


def _version(wanted: bool) -> None:
    if wanted:
        print(f"lada {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="show the version", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """Make a compressed model; use, inspect, check and convert one (artifact/ of a run)."""


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def compress(context: typer.Context) -> None:
    """Make a smaller model: what is typed after it is as for Hydra; lada compress --help."""
    from lada.run.main import main as compress_

    sys.argv = ["lada compress", *context.args]  # where Hydra looks
    compress_()


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def proxy(context: typer.Context) -> None:
    """Estimate in seconds how good a compression would be; the words are those of lada compress."""
    from lada.run.entry import estimate
    from lada.run.main import main as compress_

    sys.argv = ["lada compress", *context.args]
    compress_(estimate)


@app.command(
    "search",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="Example: lada search found7 task=sst2 target=7.5x ratios=search search.trials=20",
)
def search_(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(help="of the search: a new one, or one to join", metavar="FOLDER")
    ],
) -> None:
    """Search for the best values of keys that are given a range, such as ratios=search.

    The words after FOLDER are those of lada compress; KEY=uniform(0,1), log(1e-4,1e-3), int(2,8) or
    choice(a,b) is a range, search.KEY=VALUE a setting of the search. Started several times, on any
    hosts that share FOLDER, it has several workers; lada search FOLDER joins or resumes.
    """
    from lada.search.start import search

    raise typer.Exit(search(folder, context.args))


@app.command(
    epilog='Example: lada predict outputs/run/artifact "the soup was not bad at all"',
)
def predict(
    folder: Folder,
    text: Annotated[
        str | None, typer.Argument(help="a text; none: --file, or standard input")
    ] = None,
    text_pair: Annotated[str | None, typer.Argument(help="the second text of a pair")] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            help="texts, by suffix: .csv or .tsv (with a header), .json (an array), .jsonl, .txt "
            "(one per line; a tab between those of a pair); each also with .gz"
        ),
    ] = None,
    column: Annotated[
        str | None, typer.Option("--text", help='column or key of the text; none: "text"')
    ] = None,
    pair_column: Annotated[
        str | None, typer.Option("--text-pair", help="column or key of the second text of a pair")
    ] = None,
) -> None:
    """Classify texts: one line of JSON per line, with the label and its probability.

    A blank line is an empty text. A line that cannot be classified gets {"error": ...} in its
    place; then the exit code is 2.
    """
    if text is not None and file is not None:
        raise LadaError(f"--file {file}: a text is given as well. Give a text or a file, not both.")
    if text is not None and (column is not None or pair_column is not None):
        raise LadaError("--text: names a column of a file. Give texts without options.")
    from lada.data.lines import Keys

    _hide_bars()
    classifier = artifact.load(folder)
    if text is not None:
        given = text if text_pair is None else (text, text_pair)
        print(_as_json(classifier.classify([given])[0]))
    else:
        _predict_file(classifier, file, Keys(column, pair_column))


def _predict_file(classifier: "artifact.Classifier", file: Path | None, keys: "Keys") -> None:
    from lada.data.lines import Bad, read_items, suffix_of
    from lada.predict import answered

    where = "standard input" if file is None else str(file)
    count, failed, first = 0, 0, ""
    with _source(file) as source:
        suffix = "" if file is None else suffix_of(file)
        items = read_items(source, where, suffix, keys, classifier.pairs)
        for number, answer in answered(classifier, items):
            count += 1
            if isinstance(answer, Bad):
                failed += 1
                first = first or f"line {number}: {answer.reason}"
            print(_as_json(answer))
    if failed:
        sys.stdout.flush()
        raise LadaError(f"{where}: {failed:,} of {count:,} not classified. The first is {first}")


@contextmanager
def _source(file: Path | None) -> Iterator[IO[bytes]]:
    from lada.data.lines import opened

    if file is not None:
        with opened(file) as source:
            yield source
    elif sys.stdin is None:
        raise LadaError("standard input: is closed. Give a text or --file.")
    else:
        yield sys.stdin.buffer


def _as_json(answer: object) -> str:
    from lada.data.lines import Bad
    from lada.heads.answers import as_json

    line = {"error": answer.reason} if isinstance(answer, Bad) else as_json(answer)
    # A terminal with another encoding than UTF-8 gets escapes.
    plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    return json.dumps(line, ensure_ascii=plain)


@app.command("inspect", epilog="Example: lada inspect outputs/run/artifact --plot parts.png")
def inspect_(
    folder: Folder,
    teacher: Annotated[
        Path | None, typer.Option(help="the dense model: how far is each matrix from its own")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="draw it to this file (png, svg, pdf)")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table")] = False,
) -> None:
    """Show each matrix: kind, rank, density, bytes, and its distance from the teacher's."""
    from lada.files import check_writable_target

    if plot is not None:
        plot = check_writable_target(plot, "--plot")
    from rich.console import Console

    from lada.artifact.dense import load_dense
    from lada.artifact.inspect import inspect
    from lada.report.parts import parts_table, plot_parts

    _hide_bars()
    sizes = artifact.measure(folder)
    dense = None
    if teacher is not None:
        dense = load_dense(teacher, artifact.load(folder), "--teacher")
    parts = [vars(part) for part in inspect(folder, dense)]
    if plot is not None:
        try:
            plot_parts(parts, plot)
        except ImportError:
            raise LadaError(
                "--plot: matplotlib is not installed. Run pip install 'ladabert[plot]'."
            ) from None
        except ValueError as error:
            raise LadaError(f"--plot {plot}: {error}") from None
    if as_json:
        print(json.dumps({**sizes, "parts": parts}, indent=2))
    else:
        Console().print(parts_table(parts, sizes["stored_bytes"]))


@app.command(epilog="Example: lada verify outputs/run/artifact")
def verify(
    folder: Folder,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE", help="record this file of the tokenizer as it is now; may be repeated"
        ),
    ] = None,
) -> None:
    """Check every tensor's checksum, the files' digests, and that all of them fit together."""
    _hide_bars()
    if accept:
        artifact.accept(folder, accept)
    ours = artifact.load(folder).model.config.lada
    sizes = artifact.measure(folder)
    print(f"{folder}: intact; {sizes['nonzeros']:,} numbers in {sizes['stored_bytes']:,} bytes")
    if "files" in ours:
        print(f"as recorded: {', '.join(ours['files'])}")
    else:
        print(
            f"its tokenizer is not covered (version {ours['version']}); "
            f"lada verify {shlex.quote(str(folder))} --accept tokenizer.json records it as it is"
        )


@app.command("export", epilog="Example: lada export outputs/run/artifact --to onnx --out model")
def export_(
    folder: Folder,
    to: Annotated[str, typer.Option(help=", ".join(FORMS))],
    out: Annotated[Path, typer.Option(help="the new folder")],
    int8: Annotated[bool, typer.Option("--int8", help="static int8; needs --sentences")] = False,
    sentences: Annotated[
        Path | None,
        typer.Option(help="real texts of the task, one per line, for int8 and the check"),
    ] = None,
) -> None:
    """Export to a form that runs without lada: plain transformers, ONNX, OpenVINO; checks it."""
    from lada.artifact.newfolder import check_new_folder

    check_new_folder(out)
    from lada.artifact.export import export

    _hide_bars()
    made = export(artifact.load(folder), to, out, int8=int8, examples=_read(sentences))
    print(
        f"{made.folder}: {made.stored_bytes:,} bytes ({to}, {'int8' if int8 else 'fp32'}); "
        f"{_changes(made.examples, made.difference, made.changed)}"
    )
    if any(made.removed.values()):
        counts = ", ".join(f"{n} {what}" for what, n in made.removed.items() if n)
        print(f"removed, since pruning had emptied them: {counts}")


@app.command(epilog="Example: lada quantize outputs/run/artifact --out small")
def quantize(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="the new folder")],
    sentences: Annotated[
        Path | None, typer.Option(help="real texts of the task, one per line, for the check")
    ] = None,
) -> None:
    """Write an fp32 or fp16 artifact again with int8 values; reports what this changes."""
    from lada.artifact.newfolder import check_new_folder

    check_new_folder(out)
    from lada.artifact.export import PLAIN, compare, make_batches

    _hide_bars()
    classifier = artifact.load(folder)
    values = classifier.model.config.lada["values"]
    if values not in ("fp32", "fp16"):
        raise LadaError(
            f"{folder}: its values are already {values}. Give an fp32 or fp16 artifact."
        )
    batches = make_batches(classifier, _read(sentences) or PLAIN)
    artifact.save(classifier.model, classifier.tokenizer, out, classifier.about, values="int8")
    changes = _changes(*compare(classifier, artifact.load(out), batches))
    before, after = (artifact.measure(f)["stored_bytes"] for f in (folder, out))
    print(f"{out}: {after:,} bytes (int8), {before:,} before; {changes}")


@app.command(epilog="Example: lada choose outputs multirun --max-mb 3 --min-retention 98")
def choose(
    folders: Annotated[
        list[Path], typer.Argument(help="folders of finished runs", metavar="FOLDER...")
    ],
    max_mb: Annotated[float | None, typer.Option(help="most megabytes of the file")] = None,
    max_ms: Annotated[float | None, typer.Option(help="most milliseconds for one example")] = None,
    min_retention: Annotated[
        float | None, typer.Option(help="least percent of the teacher's score")
    ] = None,
    task: Annotated[str | None, typer.Option(help="only runs of this task")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table")] = False,
) -> None:
    """Say which of several runs to take: the smallest that is as good as the best."""
    from lada.report.choose import Limits, find_points
    from lada.report.choose import choose as find_best
    from lada.report.chosen import choice_json, choice_table

    try:
        limits = Limits(max_mb, max_ms, min_retention)
        choice = find_best(find_points(folders, task), limits)
    except ValueError as error:
        raise LadaError(str(error)) from None
    if as_json:
        print(json.dumps(choice_json(choice, limits), indent=2))
    else:
        from rich.console import Console

        Console().print(choice_table(choice, limits))


@app.command(epilog="Example: lada dashboard --project lada --json")
def dashboard(
    project: Annotated[str, typer.Option(help="of logger.project")] = "lada",
    entity: Annotated[
        str | None, typer.Option(help="user or team; none: that of the login")
    ] = None,
    split: Annotated[str, typer.Option(help="the dev split whose answers are shown")] = "dev",
    as_json_: Annotated[
        bool, typer.Option("--json", help="print what it shows; needs no login")
    ] = False,
) -> None:
    """Save a view of a project of Weights & Biases: score against size, curves, matrices."""
    from lada.report.view import as_json, view_of

    view = view_of(project, split)
    if as_json_:
        print(json.dumps(as_json(view), indent=2))
        return
    from importlib.util import find_spec

    from lada.training.backends import is_logged_in

    if find_spec("wandb_workspaces") is None:
        raise LadaError(
            "dashboard: wandb-workspaces is not installed. Run pip install wandb-workspaces, or "
            "give --json."
        )
    if not is_logged_in():
        raise LadaError("dashboard: publishing needs a login. Run wandb login, or give --json.")
    from lada.report.publish import publish

    try:
        print(publish(view, entity or _entity()))
    except LadaError:
        raise
    except Exception as error:  # of the server, or of the way to it
        raise LadaError(f"dashboard: it cannot be saved ({error}). Try again.") from None


def _entity() -> str:
    """The entity of the login."""
    import wandb

    found = wandb.Api().default_entity
    if not found:
        raise LadaError("--entity: the login has no default entity. Give --entity NAME.")
    return str(found)


@app.command(epilog="Example: lada report multirun/2026-01-31/12-00-00")
def report(
    folder: Annotated[
        Path, typer.Argument(help="of a finished run, or of several", metavar="FOLDER")
    ],
) -> None:
    """Write report.html again into the folder of a run, or of a sweep: one file, no network."""
    from lada.report.page import write_page

    if not folder.is_dir():
        raise LadaError(f"{folder}: no such folder. Give the folder of a run, or of several.")
    try:
        print(write_page(folder))
    except ValueError as error:
        raise LadaError(str(error)) from None


def _changes(examples: int, difference: float, changed: int | None) -> str:
    """What changed on the examples of a check; answers that are numbers are not counted."""
    said = f"outputs differ by {difference:.2g} at most"
    if changed is None:
        return f"{examples} examples: {said}"
    return f"{changed} of {examples} examples get another answer, {said}"


def _read(file: Path | None) -> "list[Row]":
    """The examples of a file for a check, without blank lines."""
    from lada.data.lines import Bad, opened, read_items, suffix_of

    if file is None:
        return []
    with opened(file) as source:
        items = list(read_items(source, str(file), suffix_of(file)))
    for number, item in items:
        if isinstance(item, Bad):
            raise LadaError(f"{file}, line {number}: {item.reason}")
    rows = [item for _, item in items if not isinstance(item, Bad) and (item[0] or item[1])]
    return rows


@app.command(
    "bench", epilog="Example: lada bench outputs/run/artifact --against .cache/teachers/KEY"
)
def bench_(
    folder: Folder,
    against: Annotated[
        Path | None,
        typer.Option(help="the dense teacher; none: the artifact with its products multiplied out"),
    ] = None,
    engines: Annotated[
        str | None, typer.Option(help=f"with commas; none: all available of {', '.join(ENGINES)}")
    ] = None,
    lengths: Annotated[str, typer.Option(help="tokens, with commas")] = "16,64,128",
    repeats: Annotated[int, typer.Option(min=3, help="measurements of each")] = 15,
    out: Annotated[Path | None, typer.Option(help="write all results here, as JSON")] = None,
) -> None:
    """Measure latency, throughput, load time and memory in every engine, with the dense model."""
    try:
        tokens = tuple(int(length) for length in lengths.split(","))
    except ValueError:
        raise LadaError(
            f"--lengths {lengths}: is not a list of numbers. Give whole numbers with commas."
        ) from None
    if min(tokens) < 2:
        raise LadaError(f"--lengths {lengths}: a length is too small. Give 2 or more.")
    from lada.files import check_writable_target

    if out is not None:
        out = check_writable_target(out, "--out")
    import torch
    from rich.console import Console

    from lada.bench import Settings, bench, choose_engines
    from lada.report.record import ENGINE_PACKAGES, PACKAGES, machine, write_json
    from lada.report.speed import speed_tables

    _hide_bars()
    settings = Settings(choose_engines(engines), lengths=tokens, repeats=repeats)
    console = Console(stderr=True)
    with console.status("") as status:
        result = bench(folder, against, settings, status.update)
    for table in speed_tables(result):
        Console().print(table)
    if out is not None:
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
        here = machine(device, torch.get_num_threads(), (*PACKAGES, *ENGINE_PACKAGES))
        write_json(out, {"machine": here} | result)
