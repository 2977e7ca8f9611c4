"""The artifact's answers to GLUE's unlabelled test sets."""

from pathlib import Path

from torch import Tensor

from lada import artifact
from lada.data.glue import load_tests
from lada.data.submission import SUBMISSION, ZIP, write_answers, zip_answers
from lada.data.tasks import task_spec
from lada.data.tokens import encode
from lada.run.job import Job
from lada.run.scoring import outputs_of


def submit(job: Job, folder: Path) -> None:
    """Write the artifact's answers for GLUE's server into ``folder``, that of the run.

    Raises:
        LadaError: a test file was deleted or modified since the run started.
    """
    job = job.of_student()
    c, out = job.config, folder / SUBMISSION
    model = artifact.load(folder / "artifact").model
    out.mkdir(exist_ok=True)
    spec, files = task_spec(job.data.task), []
    for name, (numbers, rows) in load_tests(spec, c.data.dir).items():
        tokens = encode(rows, job.tokenizer, c.task.max_length, Path(c.paths.cache))
        found = outputs_of(job, model, tokens)
        assert isinstance(found, Tensor)
        files.append(out / f"{name}.tsv")
        if spec.kind == "regression":
            words = [f"{value:.3f}" for value in found[:, 0].tolist()]
        else:
            words = [spec.answers[number] for number in found.argmax(-1).tolist()]
        write_answers(files[-1], numbers, words)
    zip_answers(files, out / ZIP)
