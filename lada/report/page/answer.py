"""The answer on the first screen of a run: how good, how small and how fast it is."""

from typing import Any

from lada.report.page.load import Run
from lada.report.page.markup import Markup, cut, join, tag
from lada.report.page.tables import plain
from lada.report.table import run_rows


def title_of(run: Run) -> str:
    """The run in a few words."""
    return cut(run_rows(run.record).title, 120)


def answer(run: Run) -> Markup:
    """Score, size and latency of teacher and artifact: a sentence, cards, and the whole table."""
    record, metric = run.record, run.metric
    teacher, artifact, speed = record["teacher"], record["artifact"], record["speed"]
    split = run.splits[0]
    ours, theirs = (who["scores"][split] for who in (artifact, teacher))
    score, before = ours[metric.name], theirs[metric.name]
    smaller = teacher["stored_bytes"] / artifact["stored_bytes"]
    faster = speed["teacher"] / speed["artifact"]
    shown = run_rows(record)
    sentence = (
        f"{metric.shown(score)}{metric.unit} {metric.title} on {cut(split, 40)} "
        f"({metric.change(before, score)} against its teacher), in a file "
        f"{_times(smaller, 'smaller', 'larger')} and answers {_times(faster, 'faster', 'slower')}."
    )
    cards = (
        _card(
            metric.heading,
            metric.shown(score),
            f"95 %: {metric.interval(ours[f'{metric.name}_95'])}; teacher {metric.shown(before)}",
        ),
        _card(
            "size on disk",
            size(artifact["stored_bytes"]),
            f"teacher {size(teacher['stored_bytes'])}",
        ),
        _card(
            "latency of one example",
            f"{speed['artifact']:.1f} ms",
            f"teacher {speed['teacher']:.1f} ms; {speed['length']:,} tokens, "
            f"{speed['threads']} thread{'s' * (speed['threads'] > 1)}, torch, CPU",
        ),
        _card(
            "nonzero parameters",
            _millions(artifact["nonzeros"]),
            f"teacher {_millions(teacher['nonzeros'])}; {float(record['reached']):.2f} times fewer",
        ),
    )
    return join(
        tag("p", sentence, class_="answer"),
        warnings(shown.warnings),
        tag("dl", cards, class_="cards"),
        plain("", ("", "teacher", "artifact", "change"), shown.rows),
        tag("p", cut(shown.caption), class_="note"),
    )


def warnings(lines: list[str]) -> Markup:
    """A paragraph for each."""
    return join(tag("p", f"Warning: {cut(line)}", class_="warning") for line in lines)


def size(stored: Any) -> str:
    """Bytes in the unit that suits them.

    Example:
        >>> size(2_976_639), size(900)
        ('2.98 MB', '0.90 kB')
    """
    return f"{stored / 1e6:.2f} MB" if stored >= 1e5 else f"{stored / 1e3:.2f} kB"


def _card(name: str, value: str, note: str) -> Markup:
    return tag(
        "div",
        tag("dt", name),
        tag("dd", value, class_="value"),
        tag("dd", note, class_="note"),
        class_="card",
    )


def _times(ratio: float, more: str, less: str) -> str:
    return f"{ratio:.1f} times {more}" if ratio >= 1 else f"{1 / ratio:.1f} times {less}"


def _millions(count: float) -> str:
    return f"{count / 1e6:.2f} M" if count >= 1e5 else f"{count:,}"
