"""One method, one file, which registers its settings by a name: see `register_method`.

Nothing here imports torch: a method imports what it is built from as it is made.
"""

from lada.methods.registry import find_method, methods, register_method
from lada.methods.settings import Context, MethodSettings

__all__ = ["Context", "MethodSettings", "find_method", "methods", "register_method"]
