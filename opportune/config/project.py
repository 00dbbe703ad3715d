"""The project that the framework runs: its folder, and what it has installed.

`oppman.py` names the project's package, as Django's manage.py names its settings; the rest is found from there. The
framework imports nothing of the project by name.
"""

import os
import re
from collections.abc import Collection, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from opportune.errors import OperatorError

if TYPE_CHECKING:
    from opportune.config.settings import Settings
    from opportune.feature import Feature

FRAMEWORK = Path(__file__).resolve().parents[1]
PACKAGE = os.environ.get("OPPORTUNE_PROJECT", "app")
"""Where the project's own code is: `installed.py`, `main.py`, `settings.py` and its features."""


def _folder() -> Path:
    spec = find_spec(PACKAGE)
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places))).resolve().parent if places else Path.cwd()


USERS = "users"
"""The feature of the project that has its own user."""
NEEDED = ("accounts", "admin", "jobs")
"""The features of the framework that no site can be without."""
USER_TABLE = "accounts_user"
"""As it was called before projects had it: foreign keys point there."""

PROJECT = _folder()
"""The folder of oppman.py, `.env`, `templates/`, `static/`, `migrations/` and `tests/`."""


def env_file_value(name: str) -> str:
    """What `.env` says of one setting, for those who cannot wait for the settings; empty where it says nothing."""
    try:
        text = (PROJECT / ".env").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    found = re.findall(rf"""^\s*(?:export\s+)?{name}\s*=[ \t]*["']?([^"'#\n]*)""", text, re.MULTILINE)
    return found[-1] if found else ""


def installed_features() -> "Sequence[Feature]":
    """The features that the project lists in `installed.py`, the framework's among them.

    Raises:
        OperatorError: there is no such list, one that every site needs is not in it, or two have one name or table.
    """
    features: Sequence[Feature] | None = getattr(import_module(f"{PACKAGE}.installed"), "INSTALLED", None)
    if features is None:
        raise OperatorError(
            f"{PACKAGE}/installed.py has no INSTALLED: begin it with INSTALLED: tuple[Feature, ...] = ("
        )
    require_distinct(features)
    require_needed([feature.name for feature in features])
    return features


def require_needed(names: "Sequence[str]") -> None:
    """See to it that a site has what it cannot be without.

    Raises:
        OperatorError: with one line that names the file to change.
    """
    places = dict.fromkeys(NEEDED, "opportune.features")
    if has_own_users():
        places[USERS] = f"{PACKAGE}.{USERS}.feature"
    if missing := next((name for name in places if name not in names), None):
        raise OperatorError(
            f"{PACKAGE}/installed.py lacks {missing}, which every site needs: "
            f"from {places[missing]} import {missing}, and list it in INSTALLED."
        )


_adopted: dict[str, str] = {}
"""Tables of features that take over some that were there before them, and keep their names."""


def require_distinct(features: "Sequence[Feature]") -> None:
    """See to it that each feature has a name, and tables, of its own.

    Raises:
        OperatorError: with one line that names the file to change.
    """
    if odd := next((repr(each) for each in features if not hasattr(each, "models")), ""):
        raise OperatorError(f"{PACKAGE}/installed.py lists {odd}, which is no Feature: name what a feature.py makes.")
    names = [feature.name for feature in features]
    if twice := next((feature for feature in features if names.count(feature.name) > 1), None):
        if sum(feature is twice for feature in features) > 1:
            raise OperatorError(f"{PACKAGE}/installed.py lists {twice.name} twice: take one of them out.")
        raise OperatorError(
            f"{PACKAGE}/installed.py lists two features named {twice.name}: "
            f"set name=… in one feature.py to the name of its folder."
        )
    _adopted.update(
        {str(model.__tablename__): each.name for each in features if each.adopts_tables for model in each.models}
    )
    for feature in features:
        for model in feature.models:
            owner = feature_of_table(str(model.__tablename__), names)
            if owner not in (feature.name, None):  # one of nobody's is for makemigrations to tell
                if origin(model) == owner:
                    raise OperatorError(
                        f"{PACKAGE}/{feature.name}/feature.py lists {model.__name__}, which is a model of {owner}: "
                        "take it out of models=[…]."
                    )
                raise OperatorError(
                    f"{model.__module__.replace('.', '/')}.py: the name of the table {model.__tablename__} belongs to "
                    f"the feature {owner}. Begin it with {feature.name}_."
                )


def feature_of_table(table: str, features: "Sequence[str]") -> str | None:
    """The feature that a table belongs to: the longest whose name it begins with. That of users is the project's."""
    if table == USER_TABLE and USERS in features:
        return USERS
    if _adopted.get(table) in features:
        return _adopted[table]
    return max((name for name in features if table.startswith(f"{name}_")), key=len, default=None)


GROUPS = ("contrib", "llm", "ops")
"""Packages of the framework that hold several parts."""


def origin(endpoint: object) -> str:
    """Return `books` for code in app.books, `teams` for opportune.contrib.teams, else the library's name."""
    package, *inner = getattr(endpoint, "__module__", "").split(".")
    if package not in (PACKAGE, "opportune") or not inner:
        return package
    is_grouped = package == "opportune" and inner[0] in GROUPS and len(inner) > 1
    return inner[1] if is_grouped else inner[0]


def installed_names() -> list[str]:
    return [feature.name for feature in installed_features()]


def features_on_postgresql(names: "Collection[str] | None" = None) -> list[str]:
    """Return the installed features, of these names if given, whose tables only PostgreSQL can hold."""
    on_postgresql = [feature.name for feature in installed_features() if feature.database == "postgresql"]
    return [name for name in on_postgresql if names is None or name in names]


def settings_class() -> "type[Settings]":
    """The project's `Settings`; the framework's where it has no `settings.py`.

    Raises:
        OperatorError: it has one without such a class.
    """
    settings: type[Settings] | None = getattr(_module("settings", "opportune.config.settings"), "Settings", None)
    if settings is None:
        raise OperatorError(
            f"{PACKAGE}/settings.py has no class Settings. Begin it with `class Settings(opportune.config.Settings):`."
        )
    return settings


def application(*arguments: Any) -> Any:
    """The project's site: what `create_app` in its `main.py` makes; the framework's where it has no `main.py`."""
    return _module("main", "opportune.application").create_app(*arguments)


def has_own_users() -> bool:
    """Whether the project says who its users are. One that is older than `app/users` has the framework's."""
    return _has(f"{USERS}.models")


def users_module(name: str) -> ModuleType:
    """Return the project's `models`, `schemas` or `manager` of users; the framework's if the project has none."""
    fallbacks = {"manager": "users.manager"} | (
        {} if has_own_users() else dict.fromkeys(("models", "schemas"), "users.default_user")
    )
    return _module(f"{USERS}.{name}", f"opportune.accounts.{fallbacks.get(name, name)}")


def _module(name: str, otherwise: str) -> ModuleType:
    """A module of the project, or of the framework where the project has none of that name."""
    return import_module(f"{PACKAGE}.{name}" if _has(name) else otherwise)


def _has(name: str) -> bool:
    return (PROJECT / PACKAGE / f"{name.replace('.', '/')}.py").is_file()


def display_path(path: Path) -> str:
    """A file's path as its owner knows it: from the project's folder on, if it is there."""
    return path.relative_to(PROJECT).as_posix() if path.is_relative_to(PROJECT) else str(path)
