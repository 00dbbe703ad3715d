"""Python packages: of the project, if there is one, and of features outside of its folder (`opportune_NAME`).

Uses only light modules of the standard library, because the overview of commands needs it.
"""

import os
from collections.abc import Iterator
from functools import cache
from importlib.machinery import PathFinder

PREFIX = "opportune_"
"""Prefix of the Python package of a feature."""


def folder_of(package: str) -> str:
    """Return the folder of a Python package without importing it; empty if there is none."""
    spec = PathFinder.find_spec(package)
    return next(iter(spec.submodule_search_locations or ()), "") if spec else ""


def project_folder() -> str:
    """Return the folder of the project's own features; empty outside of a project."""
    return folder_of(os.environ.get("OPPORTUNE_PROJECT", "app"))


def _has_project() -> bool:
    folder = project_folder()
    files = (f"{folder}/../oppman.py", f"{folder}/installed.py") if folder else ("oppman.py",)
    return any(map(os.path.isfile, files))


HAS_PROJECT = _has_project()
"""Whether this is a project. Otherwise it may be an existing application that calls `opportune.mount`."""
OPPMAN = "python3 oppman.py" if HAS_PROJECT else "python -m opportune"
"""How users run a command, for messages."""


@cache
def feature_packages() -> dict[str, str]:
    """Return the folders of the feature packages that the project's `installed.py` imports, by feature."""
    folders = {name: folder_of(PREFIX + name) for name in _imported_names()}
    return {name: folder for name, folder in folders.items() if folder}


def _imported_names() -> Iterator[str]:
    # The text is read, because importing the file imports all features.
    try:
        with open(f"{project_folder()}/installed.py", encoding="utf-8") as file:
            lines = file.readlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        if line.startswith(f"from {PREFIX}"):
            yield line.split()[1].removeprefix(PREFIX).partition(".")[0]
