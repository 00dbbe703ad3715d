"""Modules that may be missing: those of the project, which the framework replaces, and those that features name."""

from importlib import import_module
from types import ModuleType
from typing import Any

from opportune.errors import OperatorError
from opportune.project.installed import installed_features
from opportune.project.layout import PACKAGE, USERS, has_module, has_own_users


def settings_class() -> type[Any]:
    """Return the project's `Settings` class, or the framework's if the project has no `settings.py`."""
    settings: type[Any] | None = getattr(_import_module("settings", "opportune.config.settings"), "Settings", None)
    if settings is None:
        raise OperatorError(
            f"{PACKAGE}/settings.py has no class Settings. Begin it with `class Settings(opportune.config.Settings):`."
        )
    return settings


def application(settings: Any = None) -> Any:
    """Call `create_app` of the project's `main.py`, or of the framework if the project has no `main.py`.

    Args:
        settings: Settings of the application; by default `create_app` reads them.

    Raises:
        OperatorError: `main.py` has no such function, or it returns no application.
    """
    installed_features()  # reports a missing or faulty installed.py better than the import in main.py
    create_app = getattr(_import_module("main", "opportune.application"), "create_app", None)
    app = None
    if callable(create_app):
        app = create_app() if settings is None else create_app(settings)
    if not callable(app):
        raise OperatorError(
            f"{PACKAGE}/main.py needs a function create_app(settings=None) that returns the application of "
            "`opportune.application.create_app`."
        )
    return app


def site_application(settings: Any = None) -> Any:
    """Return the application like `application`, for commands that read its routes.

    Another one around it, such as a middleware, shows no routes and is refused.
    """
    app = application(settings)
    if not hasattr(app, "router"):
        raise OperatorError(f"{PACKAGE}/main.py: create_app returns {type(app).__name__}, whose routes are unknown.")
    return app


def users_module(name: str) -> ModuleType:
    """Return the project's `models`, `schemas` or `manager` of users; the framework's if the project has none."""
    fallbacks = {"manager": "users.manager"}
    if not has_own_users():
        fallbacks |= dict.fromkeys(("models", "schemas"), "users.default_user")
    return _import_module(f"{USERS}.{name}", f"opportune.accounts.{fallbacks.get(name, name)}")


def import_existing(name: str) -> ModuleType | None:
    """Import a module that a feature names. Return None if it does not exist; faults in it are raised."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if not f"{name}.".startswith(f"{error.name}."):
            raise  # the module exists, and one of its imports fails
        return None


def _import_module(name: str, fallback: str) -> ModuleType:
    return import_module(f"{PACKAGE}.{name}" if has_module(name) else fallback)
