"""The defaults of all keys, and the methods, as Hydra composes them with conf/."""

from typing import Any

from hydra.core.config_store import ConfigNode, ConfigStore

from lada.config.whole import GROUPS, Config
from lada.methods import methods
from lada.schema import keys_of
from lada.values import MISSING


class _Shared(ConfigNode):
    """A node that copies of the store share: whoever loads it from one is given a copy.

    Hydra copies its store at each look at a group, well over a hundred times for ``--help``.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Shared":
        return self


def register() -> None:
    """Make ``base`` and the choices of ``method`` known to Hydra; doing it again changes nothing.

    ``base`` is the first of conf/train.yaml: a file of conf/ names what differs from it.
    """
    store = ConfigStore.instance()
    base: dict[str, Any] = {
        name: {key: value.default for key, value in keys_of(cls).items()}
        for name, cls in GROUPS.items()
        if name != "method"
    }
    # A choice has to give these: Hydra leaves a value as it is where a choice says ???.
    base["target"]["ratio"] = base["teacher"]["path"] = MISSING
    top = {key: value.default for key, value in keys_of(Config).items()}
    store.store(name="base", node=base | top, provider="lada")
    _share(store.repo, "base")
    for name, method in methods().items():
        node = {key: value.default for key, value in keys_of(method).items()}
        store.store(group="method", name=name, node={"name": name} | node, provider="lada")
        _share(store.repo["method"], name)


def _share(folder: dict[str, Any], name: str) -> None:
    folder[f"{name}.yaml"] = _Shared(**vars(folder[f"{name}.yaml"]))
