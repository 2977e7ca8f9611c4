"""What report.html shows beyond the record of a run: ``details.json`` in the folder of the run."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from lada.artifact.inspect import inspect
from lada.data.split import Split
from lada.data.tokens import Encoded
from lada.heads.base import Found, Head, Shown
from lada.ops.allocate import spectrum
from lada.ops.metrics.calibration import calibration_error, reliability
from lada.report.page import REPORT, write_run_page
from lada.report.page.load import DETAILS
from lada.report.record import write_json
from lada.run.job import Job

log = logging.getLogger("lada")

POINTS = 48
"""Most points of a spectrum."""
EXAMPLES = 50
"""Most examples whose answer changed."""
LONGEST = 400
"""Most characters of a text of theirs."""
ORDER = ("lost", "gained", "neither", "both")
"""How an answer may change: whether the teacher's, the artifact's, none or both are right."""


def write_details(
    job: Job,
    folder: Path,
    teacher: PreTrainedModel,
    heads: Mapping[str, Head],
    outputs: Mapping[str, Mapping[str, Found]],
) -> None:
    """Write ``details.json`` into the folder of a run; a failure is a warning.

    Args:
        teacher: on the CPU.
        heads: of "teacher" and "artifact", each with what it has chosen.
        outputs: by dev split, and by "teacher" and "artifact".
    """
    dev = {"teacher": job.dev, "artifact": job.of_student().dev}
    try:
        found = {
            "matrices": matrices(teacher, folder / "artifact"),
            "splits": {
                split: details_of_split(
                    heads,
                    given,
                    {who: each[split] for who, each in dev.items()},
                    job.data.dev[split],
                    texts=job.config.report.examples,
                )
                for split, given in outputs.items()
            },
        }
        write_json(folder / DETAILS, found, indent=None)
    except Exception as error:  # the training has taken hours, and this serves the report alone
        log.warning("%s: cannot be made (%s: %s)", DETAILS, type(error).__name__, error)


def write_report(folder: Path) -> None:
    """Write ``report.html`` into the folder of a finished run; a failure is a warning."""
    try:
        write_run_page(folder)
    except Exception as error:  # the run is done, and this can be made again
        line = " ".join(str(error).split())
        log.warning("%s: cannot be made (%s: %s)", REPORT, type(error).__name__, line)


def details_of_split(
    heads: Mapping[str, Head],
    outputs: Mapping[str, Found],
    examples: Mapping[str, Encoded],
    split: Split,
    *,
    texts: bool,
) -> dict[str, Any]:
    """Calibration and changed answers on a dev split, as plain JSON values.

    Args:
        heads, outputs, examples: of "teacher" and "artifact".
        texts: whether the examples whose answer changed are among it.

    Returns:
        ``calibration`` by model, where the kind has probabilities: ``error``, ``probability``
        (mean), ``right`` (share), ``bins`` (`lada.ops.metrics.calibration.Bin`). ``changed``, where
        answers are no numbers: ``rows``, ``changed``, the counts of `ORDER`, and with ``texts``
        ``examples``.
    """
    found: dict[str, Any] = {}
    given = {who: head.confidences(outputs[who], examples[who], split)
             for who, head in heads.items()}  # fmt: skip
    calibration = {}
    for who, pair in given.items():
        if pair is not None and len(pair[0]):
            bins = reliability(*pair)
            calibration[who] = {
                "error": calibration_error(bins),
                "probability": float(pair[0].mean()),
                "right": float(pair[1].mean()),
                "bins": [each._asdict() for each in bins],
            }
    if calibration:
        found["calibration"] = calibration
    shown = {who: head.shown(outputs[who], examples[who], split) for who, head in heads.items()}
    theirs, ours = shown["teacher"], shown["artifact"]
    if theirs is not None and ours is not None:
        found["changed"] = changed(theirs, ours, split if texts else None)
    return found


def changed(theirs: Sequence[Shown], ours: Sequence[Shown], split: Split | None) -> dict[str, Any]:
    """How many answers of the artifact differ from the teacher's, and how.

    Args:
        theirs, ours: of the teacher and the artifact, on the same examples.
        split: the examples, to be shown; None: they are not.
    """
    how = {
        number: _how(t.right, a.right)
        for number, (t, a) in enumerate(zip(theirs, ours, strict=True))
        if t.answer != a.answer
    }
    counts = Counter(how.values())
    found: dict[str, Any] = {"rows": len(ours), "changed": len(how)}
    found |= {name: counts[name] for name in ORDER}
    if split is not None:
        worst = sorted(how, key=lambda number: (ORDER.index(how[number]), number))[:EXAMPLES]
        found["examples"] = [
            {
                "texts": [texts[number][:LONGEST] for texts in (split.texts, split.pairs) if texts],
                "label": ours[number].label[:LONGEST],
                "teacher": theirs[number].answer[:LONGEST],
                "artifact": ours[number].answer[:LONGEST],
                "how": how[number],
            }
            for number in worst
        ]
    return found


def _how(teacher: bool, artifact: bool) -> str:
    if teacher and artifact:
        return "both"
    return "lost" if teacher else "gained" if artifact else "neither"


def matrices(teacher: PreTrainedModel, folder: Path) -> list[dict[str, Any]]:
    """The matrices of an artifact, as plain JSON values.

    Of those with a rank: the singular values of the teacher's matrix at up to `POINTS` places,
    relative to the largest (``spectrum``), and the share of their squares that the rank keeps
    (``energy``). Where the teacher has no matrix of that name and shape, there is neither.

    Args:
        folder: of the artifact.
    """
    found = []
    for part in inspect(folder):
        if len(part.shape) != 2:
            continue
        each = {k: v for k, v in vars(part).items() if k not in ("error", "layouts")}
        if part.rank is not None:
            each |= _spectrum(teacher, part.name, part.shape, part.rank)
        found.append(each)
    return found


@torch.no_grad()
def _spectrum(
    teacher: PreTrainedModel, name: str, shape: tuple[int, ...], rank: int
) -> dict[str, Any]:
    try:
        weight = teacher.get_submodule(name).weight
    except AttributeError:
        return {}
    if not isinstance(weight, torch.Tensor) or weight.shape != shape:
        return {}
    squares = spectrum(weight).cpu()
    if not squares[0] > 0:
        return {}
    values = (squares / squares[0]).sqrt()
    last = len(values) - 1
    # Denser at the start, where they fall fast.
    places = sorted({round(last * (n / (POINTS - 1)) ** 2) for n in range(POINTS)} | {rank - 1})
    return {
        "spectrum": [[place + 1, round(float(values[place]), 6)] for place in places],
        "energy": float(squares[:rank].sum() / squares.sum()),
    }
