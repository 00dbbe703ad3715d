"""The project that the framework runs: its folder and its installed features.

`oppman.py` sets the name of the project's package, as Django's manage.py sets the settings module. An existing
application that calls `opportune.mount` has no such package. Its folder is the working directory.
"""

import os
import re
from collections.abc import Collection, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from opportune.errors import OperatorError
from opportune.project.feature_packages import HAS_PROJECT, PREFIX, feature_packages

if TYPE_CHECKING:
    from opportune.feature import Feature

FRAMEWORK = Path(__file__).resolve().parents[1]
PACKAGE = os.environ.get("OPPORTUNE_PROJECT", "app")
"""Package of the project, with `installed.py`, `main.py`, `settings.py` and its features."""
USERS = "users"
"""The project's feature with its user model."""
FRAMEWORK_FEATURES = "opportune.features"
"""Module from which `installed.py` imports the features of the framework."""
REQUIRED = ("accounts", "admin", "jobs")
"""Features of the framework that every site needs."""
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
mounted_features: "list[Feature]" = []
"""Features of the existing application, which `opportune.mount` adds."""


def replacements(folder: str) -> Path:
    """Return the folder whose files replace the framework's: `templates/`, or `templates/opportune/` beside others."""
    return PROJECT / folder if HAS_PROJECT else PROJECT / folder / "opportune"


TEMPLATE_FOLDERS = (
    replacements("templates"),
    *(Path(folder) / "templates" for folder in feature_packages().values()),
    FRAMEWORK / "templates",
)


def env_file_value(name: str) -> str:
    """Return a value from `.env` for code that runs before the settings are loaded. Empty if it is missing."""
    try:
        text = (PROJECT / ".env").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    values = re.findall(rf"""^\s*(?:export\s+)?{name}\s*=[ \t]*["']?([^"'#\n]*)""", text, re.MULTILINE)
    return values[-1] if values else ""


def installed_features() -> "Sequence[Feature]":
    """Return the features that the project lists in `installed.py`, including those of the framework.

    Raises:
        OperatorError: The list is missing, lacks a required feature, or has two features with the same name or table.
    """
    if not HAS_PROJECT:
        return mounted_features
    module = import_module(f"{PACKAGE}.installed") if find_spec(f"{PACKAGE}.installed") else None
    features: Sequence[Feature] = getattr(module, "INSTALLED", ())
    if not (features and isinstance(features, list | tuple)):
        file = f"{PACKAGE}/installed.py"
        begin, restore = "INSTALLED: tuple[Feature, ...] = (", f"git checkout HEAD -- {file}"
        reason = f"has no INSTALLED: begin it with {begin}" if module else f"is missing. Restore it: {restore}"
        raise OperatorError(f"{file} {reason}")
    require_unique_names(features)
    require_core_features([feature.name for feature in features])
    return features


def require_core_features(names: "Sequence[str]") -> None:
    """Check that all required features are installed.

    Raises:
        OperatorError: A feature is missing. The message names it and the file to change.
    """
    modules = dict.fromkeys(REQUIRED, FRAMEWORK_FEATURES)
    if has_own_users():
        modules[USERS] = f"{PACKAGE}.{USERS}.feature"
    if missing := next((name for name in modules if name not in names), None):
        raise OperatorError(
            f"{PACKAGE}/installed.py lacks {missing}, which every site needs: "
            f"from {modules[missing]} import {missing}, and list it in INSTALLED."
        )


adopted_tables: dict[str, str] = {}
"""Feature names by table, for features that adopt existing tables with any name."""


def require_unique_names(features: "Sequence[Feature]") -> None:
    """Check that features have distinct names and tables, and record the tables that they adopt.

    Raises:
        OperatorError: Two features conflict. The message names them and the file to change.
    """
    if invalid := next((repr(entry)[:60] for entry in features if not hasattr(entry, "name")), ""):
        raise OperatorError(
            f"{PACKAGE}/installed.py: {invalid} is not a Feature. List the `Feature` object that feature.py defines."
        )
    names = [feature.name for feature in features]
    if repeated := next((feature for feature in features if names.count(feature.name) > 1), None):
        if sum(feature is repeated for feature in features) > 1:
            raise OperatorError(f"{PACKAGE}/installed.py lists {repeated.name} twice. Remove one.")
        raise OperatorError(
            f"{PACKAGE}/installed.py lists two features named {repeated.name}: "
            f"set name=… in one feature.py to the name of its folder."
        )
    adopting = [feature for feature in features if feature.data.adopts_tables]
    adopted_tables.update({str(model.__tablename__): feature.name for feature in adopting for model in feature.models})
    for feature in features:
        for model in feature.models:
            owner = feature_of_table(str(model.__tablename__), names)
            if owner not in (feature.name, None):  # makemigrations reports tables without a feature
                raise OperatorError(_conflict_message(feature.name, model, owner))


def _conflict_message(feature: str, model: type[Any], owner: str | None) -> str:
    """Return why a feature cannot list a model whose table belongs to another one."""
    if origin(model) == owner:
        return (
            f"{PACKAGE}/{feature}/feature.py lists {model.__name__}, which is a model of {owner}: "
            "take it out of models=[…]."
        )
    return (
        f"{model.__module__.replace('.', '/')}.py: the table {model.__tablename__} has the prefix of the "
        f"feature {owner}. Begin its name with {feature}_."
    )


def feature_of_table(table: str, features: "Sequence[str]") -> str | None:
    """Return the feature of a model's table: the longest name that the table begins with. Users belong to the project.

    Only models follow this convention. `opportune.db.migrations.ownership` decides about the tables of a database.
    """
    if table == USER_TABLE and USERS in features:
        return USERS
    if adopted_tables.get(table) in features:
        return adopted_tables[table]
    return max((name for name in features if table.startswith(f"{name}_")), key=len, default=None)


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


def installed_names() -> list[str]:
    return [feature.name for feature in installed_features()]


def features_on_postgresql(names: "Collection[str] | None" = None) -> list[str]:
    """Return the names of installed features whose tables need PostgreSQL, limited to `names` if given."""
    on_postgresql = [feature.name for feature in installed_features() if feature.data.database == "postgresql"]
    return [name for name in on_postgresql if names is None or name in names]


def settings_class() -> type[Any]:
    """Return the project's `Settings` class, or the framework's if the project has no `settings.py`.

    Raises:
        OperatorError: `settings.py` has no such class.
    """
    settings: type[Any] | None = getattr(_import_module("settings", "opportune.config.settings"), "Settings", None)
    if settings is None:
        raise OperatorError(
            f"{PACKAGE}/settings.py has no class Settings. Begin it with `class Settings(opportune.config.Settings):`."
        )
    return settings


def application(*arguments: Any) -> Any:
    """Call `create_app` of the project's `main.py`, or of the framework if the project has no `main.py`.

    Raises:
        OperatorError: `main.py` has no such function, or it returns no application.
    """
    installed_features()  # reports a missing or faulty installed.py better than the import in main.py
    create_app = getattr(_import_module("main", "opportune.application"), "create_app", None)
    app = create_app(*arguments) if callable(create_app) else None
    if not callable(app):
        raise OperatorError(
            f"{PACKAGE}/main.py needs a function create_app(settings=None) that returns the application of "
            "`opportune.application.create_app`."
        )
    return app


def site_application(*arguments: Any) -> Any:
    """Return `application`, whose routes a command reads.

    Raises:
        OperatorError: There is none, or it is wrapped in another one.
    """
    app = application(*arguments)
    if not hasattr(app, "router"):
        raise OperatorError(f"{PACKAGE}/main.py: create_app returns {type(app).__name__}, whose routes are unknown.")
    return app


def has_own_users() -> bool:
    """Return whether the project has its user model. Old projects use the framework's."""
    return _has_module(f"{USERS}.models")


def users_module(name: str) -> ModuleType:
    """Return the project's `models`, `schemas` or `manager` of users; the framework's if the project has none."""
    fallbacks = {"manager": "users.manager"}
    if not has_own_users():
        fallbacks |= dict.fromkeys(("models", "schemas"), "users.default_user")
    return _import_module(f"{USERS}.{name}", f"opportune.accounts.{fallbacks.get(name, name)}")


def _import_module(name: str, fallback: str) -> ModuleType:
    return import_module(f"{PACKAGE}.{name}" if _has_module(name) else fallback)


def _has_module(name: str) -> bool:
    return HAS_PROJECT and (PROJECT / PACKAGE / f"{name.replace('.', '/')}.py").is_file()


def display_path(path: Path) -> str:
    """Return a path relative to the project's folder, or the whole path if it is elsewhere."""
    return path.relative_to(PROJECT).as_posix() if path.is_relative_to(PROJECT) else str(path)
