"""Checks and settings of features, and parts of views, which each site of the tests would repeat."""

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from opportune import application
from opportune.admin.declared_permissions import DeclaredPermissions
from opportune.admin.sqladmin_adapter import AdapterViewMeta
from opportune.admin.view_parts import CrudRules
from opportune.config import settings as settings_module
from opportune.config.base_settings import BaseSettings, read_class
from opportune.feature import Feature
from opportune.features.consistency import require_consistent_features
from opportune.project.modules import settings_class
from opportune.testing.plugin import environ_of_settings


def share_checks_of_features(patch: pytest.MonkeyPatch) -> None:
    """Check each set of features, and the permissions that they declare, once."""
    checked: dict[tuple[int, ...], list[Feature]] = {}
    with_permissions: dict[tuple[int, ...], Sequence[Feature]] = {}
    require_existing = DeclaredPermissions.require_existing

    def require_once(features: Iterable[Feature], **options: bool) -> None:
        features = list(features)
        key = *options.values(), *map(id, features)
        if key not in checked:
            require_consistent_features(features, **options)
            checked[key] = features  # the ids belong to living features

    def require_existing_once(permissions: DeclaredPermissions) -> None:
        key = tuple(map(id, permissions.features))
        if key not in with_permissions:
            require_existing(permissions)
            with_permissions[key] = permissions.features

    patch.setattr(application, "require_consistent_features", require_once)
    patch.setattr(DeclaredPermissions, "require_existing", require_existing_once)


def share_parts_of_views(patch: pytest.MonkeyPatch) -> None:
    """Make the columns, filters and lookups of a view late, because tests use few. The first of a class shows which."""
    late: dict[type[Any], set[str]] = {}

    def make(class_: Any) -> Any:
        view = object.__new__(class_)
        parent = class_.__mro__[1]
        if "site" not in vars(class_) or parent not in late:
            view.__init__()
            late[parent] = {*vars(view)}
            return view
        view.rules = CrudRules(view.crud, view.identity)  # for the menu

        def get(view: Any, name: str) -> Any:
            if name in late[parent] and name not in vars(view):
                del class_.__getattribute__
                view.__init__()
            return object.__getattribute__(view, name)

        class_.__getattribute__ = get
        return view

    patch.setattr(AdapterViewMeta, "__call__", make)


def share_settings_of_features(patch: pytest.MonkeyPatch) -> None:
    """Read the settings of each feature once for each environment."""
    values: dict[object, BaseSettings] = {}

    def read_once(class_: type[BaseSettings], **options: Any) -> BaseSettings:
        if options.get("_env_file") or class_ is settings_class():
            return read_class(class_, **options)
        key = class_, environ_of_settings(), repr(options)
        if key not in values:
            values[key] = read_class(class_, **options)
        return values[key].model_copy()

    patch.setattr(settings_module, "read_class", read_once)
