"""The folders of a trial: one for each time it was taken, which begins with what was there.

A worker that has lost its lease may not know yet: its run may still write into its own folder.
Whoever takes the trial over has another, and no two runs ever write into the same one.
"""

import os
import shutil
from pathlib import Path

from lada.files import temporary_folder
from lada.run.runs import CHECKPOINTS, is_done, is_taken

_LEFT = {"artifact", "submission", "results.json", "predictions.safetensors", "log.txt"}
"""What the end of a run makes, and the output of its process."""


def folder_of(trials: Path, number: int, attempt: int) -> Path:
    """The folder of an attempt: ``trials/0003/2``."""
    return trials / f"{number:04d}" / str(attempt)


def prepared(trials: Path, number: int, attempt: int) -> Path:
    """The folder for an attempt, with the state that the last one has left.

    Returns:
        Its folder; that of an earlier attempt, if this has finished the run.
    """
    own = folder_of(trials, number, attempt)
    earlier = [folder_of(trials, number, n) for n in range(attempt, 0, -1)]
    for folder in earlier:
        if is_done(folder):
            return folder
    if not own.exists():
        own.parent.mkdir(parents=True, exist_ok=True)
        for folder in earlier[1:]:
            if is_taken(folder) and newest_step(folder) is not None:
                _take_over(folder, own)
                break
        else:
            own.mkdir()
    return own


def newest_step(folder: Path) -> int | None:
    """The steps of training done at the newest checkpoint of a run; None: it has none."""
    steps = [int(file.name.split("-")[1]) for file in (folder / CHECKPOINTS).glob("step-*.ckpt")]
    return max(steps, default=None)


def drop_others(folder: Path) -> None:
    """Delete the folders of the other attempts at a finished trial."""
    for other in folder.parent.iterdir():
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)


def _take_over(source: Path, target: Path) -> None:
    """Make ``target`` with the state of ``source``, at once, by a rename.

    Checkpoints are never changed, so that links to them do. They come first: curves are written
    before the checkpoints that need them.
    """
    made = temporary_folder(target)
    (made / CHECKPOINTS).mkdir()
    for file in (source / CHECKPOINTS).iterdir():
        if not file.name.startswith("."):
            _link(file, made / CHECKPOINTS / file.name)
    for place in source.iterdir():
        if place.name.startswith(".") or place.name in {CHECKPOINTS, *_LEFT}:
            continue
        if place.is_dir():
            shutil.copytree(place, made / place.name)
        else:
            shutil.copy2(place, made / place.name)
    os.replace(made, target)


def _link(file: Path, target: Path) -> None:
    try:
        os.link(file, target)
    except FileNotFoundError:
        pass  # an old one, deleted meanwhile by a run that is not known to be lost
    except OSError:  # a file system without links
        shutil.copy2(file, target)
