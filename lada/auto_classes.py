"""Makes transformers' Auto classes read artifacts, without importing transformers for it.

`lada.artifact.config` registers its classes with ``AutoConfig`` when it is imported; a config
registers the models with the other Auto classes when it is made. So it is enough to import that
module where transformers is imported.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_WAITED_FOR = "transformers"
_REGISTERS = "lada.artifact.config"


def register() -> None:
    """Register the artifact's classes: at once if transformers is imported, else when it is."""
    if _WAITED_FOR in sys.modules:
        import_module(_REGISTERS)
    else:
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds transformers where the others find it, and has its loader register afterwards."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != _WAITED_FOR:
            return None
        for finder in sys.meta_path:
            if finder is not self and (spec := finder.find_spec(name, path, target)) is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader, self)
                return spec
        return None


class _Loader(Loader):
    """Loads by another loader, and registers when that is done.

    The package itself is waited for, not one of its modules: those import one another, and where
    one of them is only half executed, a config class may not be there yet.
    """

    def __init__(self, loader: Loader, finder: _Finder):
        self._loader, self._finder = loader, finder

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # From here on the module is as if nobody had waited for it.
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        sys.meta_path.remove(self._finder)
        import_module(_REGISTERS)
