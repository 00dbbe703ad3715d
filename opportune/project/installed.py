"""Features of the site: those that the project lists in `installed.py`, or that an application mounts."""

from collections.abc import Collection, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from opportune.errors import OperatorError
from opportune.project.current import HAS_PROJECT
from opportune.project.layout import FRAMEWORK_FEATURES, PACKAGE, USER_TABLE, USERS, has_own_users, origin

if TYPE_CHECKING:
    from opportune.feature import Feature

REQUIRED = ("accounts", "admin", "jobs")
"""Features of the framework that every site needs."""
mounted_features: "list[Feature]" = []
"""Features of the existing application, which `opportune.mount` adds."""
adopted_tables: dict[str, str] = {}
"""Feature names by table, for features that adopt existing tables with any name."""


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
        begin = "INSTALLED: tuple[Feature, ...] = ("
        restore = f"git checkout HEAD -- {file}"
        reason = f"has no INSTALLED: begin it with {begin}" if module else f"is missing. Restore it: {restore}"
        raise OperatorError(f"{file} {reason}")
    require_unique_names(features)
    require_core_features([feature.name for feature in features])
    return features


def installed_names() -> list[str]:
    return [feature.name for feature in installed_features()]


def features_on_postgresql(names: Collection[str] | None = None) -> list[str]:
    """Return the names of installed features whose tables need PostgreSQL, limited to `names` if given."""
    on_postgresql = [feature.name for feature in installed_features() if feature.data.database == "postgresql"]
    return [name for name in on_postgresql if names is None or name in names]


def require_core_features(names: Sequence[str]) -> None:
    """Check that all required features are installed."""
    modules = dict.fromkeys(REQUIRED, FRAMEWORK_FEATURES)
    if has_own_users():
        modules[USERS] = f"{PACKAGE}.{USERS}.feature"
    if missing := next((name for name in modules if name not in names), None):
        raise OperatorError(
            f"{PACKAGE}/installed.py lacks {missing}, which every site needs: "
            f"from {modules[missing]} import {missing}, and list it in INSTALLED."
        )


def require_unique_names(features: "Sequence[Feature]") -> None:
    """Check that features have distinct names and tables, and record the tables that they adopt."""
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
            "set name=… in one feature.py to the name of its folder."
        )
    adopting = [feature for feature in features if feature.data.adopts_tables]
    adopted_tables.update({str(model.__tablename__): feature.name for feature in adopting for model in feature.models})
    _require_own_tables(features, names)


def _require_own_tables(features: "Sequence[Feature]", names: Sequence[str]) -> None:
    """Check that no feature lists a model whose table belongs to another one."""
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


def feature_of_table(table: str, features: Sequence[str]) -> str | None:
    """Return the feature of a model's table: the longest name that the table begins with. Users belong to the project.

    Only models follow this convention. `opportune.db.migrations.ownership` decides about the tables of a database.
    """
    if table == USER_TABLE and USERS in features:
        return USERS
    if adopted_tables.get(table) in features:
        return adopted_tables[table]
    prefixes = (table[:end] for end, letter in enumerate(table) if letter == "_")
    return max((prefix for prefix in prefixes if prefix in features), key=len, default=None)
