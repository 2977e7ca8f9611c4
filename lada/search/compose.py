"""Whether trials can be what their words say, found out before any is started."""

from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from lada.config import check
from lada.config.check import by_present_names
from lada.config.store import register
from lada.errors import LadaError
from lada.overrides import value
from lada.program import conf_folder
from lada.run.entry import is_override
from lada.run.hints import hydra_line
from lada.search.space import Space

FLAG = "--config-dir="


def check_trials(space: Space) -> None:
    """Compose and check the trials with the first and the last values of all ranges.

    Raises:
        LadaError: one of them is rejected, as `lada compress` would.
    """
    for word in space.words:
        if word.startswith(FLAG) and not Path(word.removeprefix(FLAG)).is_dir():
            raise LadaError(f"{word}: is not a folder. Make it, or give another.")
    register()
    for end in (0, -1):
        params = {r.key: r.extremes[end] for r in space.ranges}
        _check(space.words_of(params, number=0))


def _check(words: Sequence[str]) -> None:
    words, _ = by_present_names(list(words))
    task = [word for word in words if not word.startswith(("--", "hydra"))]
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_folder()), version_base="1.3"):
            check(compose("train", overrides=_for_hydra(words)), task)
    except (HydraException, OmegaConfBaseException) as error:
        raise LadaError(hydra_line(error, words, is_override)) from None
    finally:
        GlobalHydra.instance().clear()


def _for_hydra(words: Sequence[str]) -> list[str]:
    """The words with ``--config-dir=DIR``, which is no override, as a place to search."""
    places = [word.removeprefix(FLAG) for word in words if word.startswith(FLAG)]
    rest = [word for word in words if not word.startswith(FLAG)]
    if not places:
        return rest
    begin, place = "hydra.searchpath=[", value(f"file://{Path(places[0]).absolute()}")
    if any(word.startswith(begin) for word in rest):
        return [word.replace(begin, f"{begin}{place},", 1) for word in rest]
    return [*rest, f"{begin}{place}]"]
