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
        """Return the modules of the exports by name, from the lines of the stub."""
        package_module: Any = sys.modules[package]
        stub = f"{package_module.__file__}i"
        try:
            # The loader also reads stubs inside of a wheel.
            lines = package_module.__loader__.get_data(stub).decode().splitlines()
        except OSError:
            raise ImportError(f"{stub} is missing. The framework needs its .pyi files, so install it again.") from None
        return {words[3]: words[1] for words in map(str.split, lines) if words[:1] == ["from"]}

    def import_export(name: str) -> Any:
        if name == "__all__":
            return [*find_modules()]
        module, new_name = find_import(package, name)
        if (module, new_name) != (package, name):
            place = new_name if module == package else f"{module}.{new_name}"
            # `from package import name` would replace the message of an AttributeError.
            raise ImportError(f"{package} has no {name}. It is called {place} now.")
        if name not in find_modules():
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        # With `fromlist`, the export can also be a module of a package. Imports ask for each about eight times.
        export = vars(sys.modules[package])[name] = getattr(__import__(find_modules()[name], fromlist=[name]), name)
        return export

    return import_export
