"""The project that this process runs, if there is one.

Uses only light modules of the standard library, because the overview of commands needs it.
"""

import os
from importlib.machinery import PathFinder


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


def with_program(text: str) -> str:
    """Return a message with its commands as this project runs them."""
    return text.replace("python3 oppman.py", OPPMAN)
