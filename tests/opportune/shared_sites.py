"""Parts of sites that tests share, because building them takes longer than most requests: admins, settings, checks."""

import os
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

import pytest
from fastapi import FastAPI

from opportune import application
from opportune.admin.middleware import LazyAdmin
from opportune.config import settings as settings_module
from opportune.config.base_settings import BaseSettings, read_class
from opportune.config.settings import Settings
from opportune.feature import Feature
from opportune.features import require_consistent_features
from opportune.project.layout import settings_class
from opportune.testing.plugin import environ_of_settings

MAX_ADMINS = 6
"""Number of admins to keep, which have different features or settings."""
SETTINGS_OF_TESTS = ("database_url", "storage_url")
"""Settings that are different in each test. The views do not depend on them."""


class BuiltAdmin:
    """The admin of a site, and the features, settings and classes that its views depend on."""

    def __init__(self, site: Any) -> None:
        self.site = site
        self.test = _current_test()
        self.features = site.site_app.state.features
        self.settings = _settings_of(site.site_app)
        parts = [site, *site.views]
        # Tests patch attributes of views before the first request.
        self.classes = {class_: dict(vars(class_)) for part in parts for class_ in type(part).__mro__}
        self.views = [(view, dict(vars(view))) for view in site.views]

    def fits(self, app: FastAPI) -> bool:
        """Whether the app would get the same views, and the app of the other test has ended."""
        return (
            self.test != _current_test()
            and list(map(id, self.features)) == list(map(id, app.state.features))
            and self.settings == _settings_of(app)
            and all(_is_unchanged(class_, attributes) for class_, attributes in self.classes.items())
        )

    def move_to(self, app: FastAPI) -> Any:
        """Undo changes of the views, and return the admin with the services of another app."""
        self.test = _current_test()
        for view, attributes in self.views:
            vars(view).clear()
            vars(view).update(attributes)
        site, database = self.site, app.state.database
        site.site_app, site.database = app, database
        site.session_maker.configure(bind=database.reading_engine)
        names = {page.name for extension in site.extensions for page in extension.pages}
        site.admin.router.routes = [route for route in site.admin.routes if route.name not in names]
        site.add_extensions()  # they store the app
        return site


def share_admins(patch: pytest.MonkeyPatch) -> None:
    """Use an earlier admin if a new one would have the same views."""
    build: Callable[[LazyAdmin], Any] = vars(LazyAdmin)["site"].func
    admins: list[BuiltAdmin] = []

    def site(admin: LazyAdmin) -> Any:
        if shared := next((built for built in admins if built.fits(admin.app)), None):
            return shared.move_to(admin.app)
        admins.insert(0, BuiltAdmin(build(admin)))
        del admins[MAX_ADMINS:]
        return admins[0].site

    shared_site = cached_property(site)
    shared_site.__set_name__(LazyAdmin, "site")
    patch.setattr(LazyAdmin, "site", shared_site)


def share_checks_of_features(patch: pytest.MonkeyPatch) -> None:
    """Check each set of features once."""
    checked: dict[tuple[int, ...], list[Feature]] = {}

    def require_once(features: Iterable[Feature], *, is_complete: bool = False) -> None:
        features = list(features)
        key = is_complete, *map(id, features)
        if key not in checked:
            require_consistent_features(features, is_complete=is_complete)
            checked[key] = features  # the ids belong to living features

    patch.setattr(application, "require_consistent_features", require_once)


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


def _current_test() -> str:
    return os.environ.get("PYTEST_CURRENT_TEST", "").partition(" (")[0]


def _settings_of(app: FastAPI) -> dict[str, Any]:
    settings: Settings = app.state.settings
    of_site = {name: value for name, value in vars(settings).items() if name not in SETTINGS_OF_TESTS}
    classes = (feature.settings for feature in app.state.features)
    return of_site | {class_.__name__: settings.of(class_) for class_ in classes if class_}


def _is_unchanged(class_: type, attributes: dict[str, Any]) -> bool:
    """Compare by identity, because comparisons of columns are SQL expressions."""
    current = vars(class_)
    return len(current) == len(attributes) and all(current.get(name) is value for name, value in attributes.items())
