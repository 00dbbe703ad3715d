"""Exports of a package that are imported on first access.

They keep commands and workers from loading modules they do not use. `opportune.accounts` needs them also because the
project's user model imports that package.
"""

import sys
from collections.abc import Callable
from functools import cache
from typing import Any

from opportune.errors.renamed_names import find_import


def lazy_exports(package: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package, for the names in its stub: lines `from module import name as name`."""

    @cache
    def find_modules() -> dict[str, str]:
        package_module: Any = sys.modules[package]
        stub = f"{package_module.__file__}i"
        try:
            lines = package_module.__loader__.get_data(stub).decode().splitlines()  # also in a wheel
        except OSError:
            raise ImportError(f"{stub} is missing. The framework needs its .pyi files, so install it again.") from None
        statements = map(str.split, lines)
        return {name: module for _from, module, _import, name, *_as in statements}

    def import_export(name: str) -> Any:
        if name == "__all__":
            return [*find_modules()]
        # Python replaces the message of an AttributeError.
        module, new_name = find_import(package, name)
        if (module, new_name) != (package, name):
            place = new_name if module == package else f"{module}.{new_name}"
            raise ImportError(f"{package} has no {name}. It is called {place} now.")
        if name not in find_modules():
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(__import__(find_modules()[name], fromlist=[name]), name)  # also a module of a package

    return import_export
