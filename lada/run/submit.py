"""The artifact's answers to GLUE's unlabelled test sets."""

from pathlib import Path

from lada import artifact
from lada.data.glue import load_tests
from lada.data.submission import SUBMISSION, ZIP, write_answers, zip_answers
from lada.data.tasks import task_spec
from lada.data.tokens import encode
from lada.run.job import Job
from lada.training.evaluate import predict


def submit(job: Job, folder: Path) -> None:
    """Write the artifact's answers for GLUE's server into ``folder``, that of the run.

    Raises:
        LadaError: a test file was deleted or modified since the run started.
    """
    c, out = job.config, folder / SUBMISSION
    model = artifact.load(folder / "artifact").model
    out.mkdir(exist_ok=True)
    spec, files = task_spec(job.data.task), []
    for name, (numbers, rows) in load_tests(spec, c.data.dir).items():
        tokens = encode(rows, job.tokenizer, c.task.max_length, Path(c.paths.cache))
        classes = predict(model, tokens, job.tokenizer.pad_token_id, job.device).argmax(-1)
        files.append(out / f"{name}.tsv")
        write_answers(files[-1], numbers, [spec.answers[number] for number in classes.tolist()])
    zip_answers(files, out / ZIP)
