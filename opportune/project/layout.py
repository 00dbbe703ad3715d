"""Folders and names of the project that the framework runs.

`oppman.py` sets the name of the project's package, as Django's manage.py sets the settings module. An existing
application that calls `opportune.mount` has no such package. Its folder is the working directory.
"""

import os
import re
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from opportune.project.current import HAS_PROJECT
from opportune.project.feature_packages import PREFIX, feature_packages

FRAMEWORK = Path(__file__).resolve().parents[1]
PACKAGE = os.environ.get("OPPORTUNE_PROJECT", "app")
"""Package of the project, with `installed.py`, `main.py`, `settings.py` and its features."""
USERS = "users"
"""The project's feature with its user model."""
FRAMEWORK_FEATURES = "opportune.features"
"""Module from which `installed.py` imports the features of the framework."""
ONLY_DATABASE = "OPPORTUNE_TEST_DATABASE"
"""Environment variable with the only database to run tests on."""
USER_TABLE = "accounts_user"
"""Table of the user model. It keeps the prefix of its former feature, because foreign keys point to it."""


def _folder() -> Path:
    spec = find_spec(PACKAGE)
    locations = spec.submodule_search_locations if spec else None
    folder = Path(next(iter(locations))).resolve().parent if locations else Path.cwd()
    return folder if HAS_PROJECT else Path.cwd()


PROJECT = _folder()
"""The folder of oppman.py, `.env`, `templates/`, `static/`, `migrations/` and `tests/`."""


def is_project_code(file: Path) -> bool:
    """Return whether a file is code of the project, and not of a package, the framework or oppman.py, its start."""
    is_own = file.is_relative_to(PROJECT) and not file.is_relative_to(FRAMEWORK) and file != PROJECT / "oppman.py"
    return is_own and {".venv", "venv", "site-packages"}.isdisjoint(file.parts)


def replacements(folder: str) -> Path:
    """Return the folder whose files replace the framework's: `templates/`, or `templates/opportune/` beside others."""
    return PROJECT / folder if HAS_PROJECT else PROJECT / folder / "opportune"


TEMPLATE_FOLDERS = (
    replacements("templates"),
    *(Path(folder) / "templates" for folder in feature_packages().values()),
    FRAMEWORK / "templates",
)


def read_setting(name: str) -> str:
    """Return a setting from the environment or `.env`, before the settings classes are loaded; empty if missing."""
    if (value := os.environ.get(name)) is not None:
        return value.strip(" \t\r\n\"'")
    try:
        text = (PROJECT / ".env").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    values = re.findall(rf"""^\s*(?:export\s+)?{name}\s*=[ \t]*["']?([^"'#\n]*)""", text, re.MULTILINE)
    return values[-1].strip() if values else ""


def feature_module(name: str) -> str:
    """Return the Python package of a feature: `opportune_books` for a separate package, else `app.books`."""
    return f"{PREFIX}{name}" if name in feature_packages() else f"{PACKAGE}.{name}"


def feature_folder(name: str) -> Path:
    """Return the folder with the code of a feature: a package, or a folder of the project."""
    folder = feature_packages().get(name)
    return Path(folder) if folder else PROJECT / PACKAGE / name


def is_framework_class(class_: type[Any]) -> bool:
    """Return whether a class, such as a model, belongs to Opportune, and not to the project or a feature package."""
    return class_.__module__.startswith("opportune.")


def origin(endpoint: object) -> str:
    """Return `books` for code in app.books or opportune_books, `teams` for opportune.contrib.teams.

    For other code, return the name of the library.
    """
    while isinstance(endpoint, partial):
        endpoint = endpoint.func
    package, *inner = (getattr(endpoint, "__module__", "") or "").split(".")  # None for code run by `exec`
    if package.startswith(PREFIX):
        return package.removeprefix(PREFIX)
    if package not in (PACKAGE, "opportune") or not inner:
        return package
    is_grouped = package == "opportune" and inner[0] == "contrib" and len(inner) > 1
    return inner[1] if is_grouped else inner[0]


def has_own_users() -> bool:
    """Return whether the project has its user model. Old projects use the framework's."""
    return has_module(f"{USERS}.models")


def has_module(name: str) -> bool:
    return HAS_PROJECT and (PROJECT / PACKAGE / f"{name.replace('.', '/')}.py").is_file()


def display_path(path: Path) -> str:
    """Return a path relative to the project's folder, or the whole path if it is elsewhere."""
    return path.relative_to(PROJECT).as_posix() if path.is_relative_to(PROJECT) else str(path)
