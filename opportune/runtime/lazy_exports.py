"""Exports of a package that are imported on first access.

They keep commands and workers from loading modules they do not use. `opportune.accounts` needs them also because the
project's user model imports that package.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazy_exports(package: str, names_by_module: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package. Its modules are named relative to it, with a leading dot."""
    modules = {name: module for module, names in names_by_module.items() for name in names}

    def import_export(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(modules[name], package), name)

    return import_export
