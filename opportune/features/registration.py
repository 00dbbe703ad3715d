"""Checks of the registrations of features: names that are registered twice, and parts that are missing or unlisted."""

import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from inspect import isfunction
from itertools import chain
from pathlib import Path
from typing import Any

from fastapi.routing import APIRoute, APIWebSocketRoute

from opportune.config.base_settings import BaseSettings
from opportune.crud.registry import find_default_errors
from opportune.db.hooks.registry import find_hook_error
from opportune.db.hooks.registry import registered as registered_hooks
from opportune.errors import OperatorError
from opportune.feature import Feature
from opportune.features.core import CORE_FEATURES
from opportune.jobs.declaration import declared as declared_jobs
from opportune.project.feature_packages import PREFIX
from opportune.project.installed import REQUIRED, feature_of_table
from opportune.project.layout import PACKAGE, display_path, feature_folder, origin
from opportune.project.optional_features import OPTIONAL_FEATURES, feature_of_module, how_to_list
from opportune.web.rendering.templates import templates
from opportune.web.routing.api_router import listed_routes, with_dependencies

FRAMEWORK_NAMES = {feature.name for feature in CORE_FEATURES} | OPTIONAL_FEATURES.keys()
"""Names of the framework's features. Features of projects and packages have other names."""
PARAMETER = re.compile(r"\{[^}]*\}")
"""A parameter in the path of a route."""
RESERVED_SERVICES = (
    *("settings", "features", "declared_permissions", "database", "storage", "services", "jobs", "shutting_down"),
    *("opportune", "admin_editors", "health_check", "invited_at", "is_draining", "is_migrated", "is_test_app"),
)
"""Names in `app.state` that the framework sets itself."""


def require_consistent_features(
    features: Iterable[Feature], *, is_complete: bool = False, with_dependencies: bool = True
) -> None:
    """Check that no name is registered twice, and that required features are installed.

    Args:
        features: Features of the site.
        is_complete: Whether these are all features of the project. No other may then be imported.
        with_dependencies: Whether dependencies of routes are also checked, for which all routes are analysed.

    Raises:
        OperatorError: A name is registered twice, or a feature is missing. The message describes the first error.
    """
    errors = find_registration_errors(features, is_complete=is_complete, with_dependencies=with_dependencies)
    if message := next(errors, ""):
        raise OperatorError(message)


def find_registration_errors(
    features: Iterable[Feature], *, is_complete: bool = False, with_dependencies: bool = True
) -> Iterator[str]:
    """Yield one line for each name that is registered twice, and for each missing feature, job or hook."""
    features = list(features)
    yield from _find_name_errors(features)
    locations = {("template name", name): "opportune.web.rendering.templates" for name in templates.built_in_names}
    locations |= {("service", name): "opportune.application" for name in RESERVED_SERVICES}
    for feature in features:
        for type_, name, module in _registrations(feature):
            location = f"{module} (feature {feature.name})"
            if other := locations.get((type_, name)):
                yield f"The {type_} {name} is registered twice: in {other} and in {location}. Rename one."
            locations[type_, name] = location
    yield from _find_missing(features, locations, with_dependencies=with_dependencies)
    yield from _find_doubled_prefixes(features)
    for feature in features:
        if fault := find_hook_error(feature.name, feature.hooks):
            yield fault
    yield from find_default_errors()
    yield from _find_unlisted_parts(features)
    if is_complete:
        yield from _find_unlisted_features(features)


def _find_missing(
    features: Sequence[Feature], locations: Mapping[tuple[str, str], str], *, with_dependencies: bool
) -> Iterator[str]:
    """Yield one line for each required feature and queued job that is missing."""
    names = {feature.name for feature in features}
    for feature in features:
        for required in feature.requires:
            if required not in names:
                yield f"Feature({feature.name!r}, requires=…) needs the feature {required}. Add it to installed.py."
        for call in (*feature.admin.operations.values(), *feature.jobs.first):
            if ("job", call.job.name) not in locations:
                yield (
                    f"Feature({feature.name!r}) queues the job {call.job.name} of {call.job.function.__module__}, "
                    "which no installed feature lists: add it to jobs=Jobs([…]), or install its feature."
                )
    for feature in features:
        dependencies = _features_of_dependencies(feature) if with_dependencies else ()
        uses = chain(dependencies, _features_of_foreign_keys(feature, features))
        for user, required in uses:
            if required not in names and required not in REQUIRED:
                yield f"Feature({feature.name!r}): {user} needs the feature {required}. {how_to_list(required)}"


def _find_doubled_prefixes(features: Sequence[Feature]) -> Iterator[str]:
    """Yield one line for each route of an API whose path repeats `/api/v1`, below which it is mounted."""
    for feature in features:
        for route in listed_routes(feature.api):
            path = getattr(route, "path", "")
            if f"{path}/".startswith("/api/v1/"):
                yield f"Feature({feature.name!r}, api=…) adds /api/v1 to {path}. Write its path without /api/v1."


def _features_of_dependencies(feature: Feature) -> Iterator[tuple[str, str]]:
    """Yield each route with the optional features whose dependencies it has."""
    for path, route in _routes(feature):
        calls = (dependant.call for dependant in with_dependencies(route.dependant) if isfunction(dependant.call))
        for required in dict.fromkeys(feature_of_module(call.__module__) for call in calls):
            if required:
                yield f"the route {path}", required


def _features_of_foreign_keys(feature: Feature, installed: Iterable[Feature]) -> Iterator[tuple[str, str]]:
    """Yield each model that refers to a table of an optional feature."""
    tables = {model.__tablename__ for feature in installed for model in feature.models}
    for model in feature.models:
        for key in getattr(getattr(model, "__table__", None), "foreign_keys", ()):
            table = key.target_fullname.rpartition(".")[0]
            if table not in tables and (required := feature_of_table(table, [*OPTIONAL_FEATURES])):
                yield f"the model {model.__name__}", required


def _find_unlisted_parts(features: Sequence[Feature]) -> Iterator[str]:
    """Yield one line for each hook, job and settings class that its feature in the project does not list."""
    names = {feature.name for feature in features}
    listed: set[Any] = {*chain.from_iterable(feature.hooks for feature in features)}
    listed |= {job.function for feature in features for job in feature.jobs.definitions}
    listed |= {feature.settings for feature in features}
    declared: list[tuple[str, Any]] = [("hooks=[…]", registration.hook) for registration in registered_hooks]
    declared += [("jobs=Jobs([…])", job.function) for job in declared_jobs]
    declared += [("settings=…", class_) for class_ in BaseSettings.__subclasses__()]
    for argument, part in declared:
        module = part.__module__ or ""
        feature = origin(part)
        if part in listed or feature not in names or not module.startswith((f"{PACKAGE}.", PREFIX)):
            continue
        package = module.split(".")[0]
        folder = f"{package}/{feature}" if package == PACKAGE else package
        yield f"{folder}/feature.py: {argument} lacks {getattr(part, '__name__', part)} of {module}. Add it."


def _find_unlisted_features(features: Sequence[Feature]) -> Iterator[str]:
    """Yield one line for each feature of the project that is imported, so that its models have an effect."""
    names = {feature.name for feature in features}
    for name, package in sorted(sys.modules.items()):
        feature = _feature_of_package(name)
        if not feature or feature in names or not hasattr(package, "__path__"):
            continue
        exports = vars(sys.modules.get(f"{name}.feature", package)).values()
        is_listed = any(export is listed for export in exports for listed in features)  # under another name
        if not is_listed and any(Path(folder, "feature.py").is_file() for folder in package.__path__):
            yield (
                f"{name} is imported, but {PACKAGE}/installed.py does not list its feature. "
                "Add it to INSTALLED, or remove the imports."
            )


def _feature_of_package(module: str) -> str:
    """Return the name of the feature of a package `app.NAME`, or of an installed package; else an empty string."""
    parent, _, name = module.rpartition(".")
    if parent == PACKAGE:
        return name
    return name.removeprefix(PREFIX) if not parent and name.startswith(PREFIX) else ""


def _find_name_errors(features: Sequence[Feature]) -> Iterator[str]:
    """Yield one line for each feature with the name of one of the framework, whose migrations it would get."""
    names = Counter(feature.name for feature in features)
    for name in sorted(FRAMEWORK_NAMES & names.keys()):
        file = feature_folder(name) / "feature.py"
        if names[name] > 1 or file.exists():
            where = display_path(file) if file.exists() else f"Feature({name!r})"
            yield f"{where}: the framework has a feature named {name}. Give this one another name."


def _registrations(feature: Feature) -> Iterator[tuple[str, str, str]]:
    """Yield the type, name and module of everything that a feature registers under a name."""
    for type_, name, object_ in chain(_background_objects(feature), _site_objects(feature)):
        yield type_, name, getattr(object_, "__module__", "")
    declaration = "feature.py"
    for name in (*feature.admin.operations, *feature.admin.actions):
        yield "operation", name, declaration
    views = feature.admin.views
    for view in [views] if isinstance(views, str) else map(_qualified_name, views):
        yield "admin view", view, declaration


def _background_objects(feature: Feature) -> Iterator[tuple[str, str, Any]]:
    """Yield the type and name of jobs, commands, services, checks and hooks, each with its function."""
    for job in feature.jobs.definitions:
        yield "job", job.name, job.function
    for command in feature.commands:
        yield "command", command, feature
    for service in feature.process.services:
        yield "service", service.name, service.make
    for check in (*feature.monitoring.checks, *feature.monitoring.production_checks):
        yield "check", _qualified_name(check), check
    for hook in feature.hooks:
        yield "hook", _qualified_name(hook), hook


def _site_objects(feature: Feature) -> Iterator[tuple[str, str, Any]]:
    """Yield the type and name of what language models, templates and visitors use, each with its function."""
    for tool in feature.llm.tools:
        yield "tool", *_named_tool(tool)
    for uri, function in feature.llm.resources.items():
        yield "resource", uri, function
    for prompt in feature.llm.prompts:
        yield "prompt", *_named_tool(prompt)
    for error, handler in feature.site.error_handlers.items():
        yield "error handler of", _qualified_name(error), handler
    for name, helper in (*feature.site.template_filters.items(), *feature.site.template_globals.items()):
        yield "template name", name, helper
    for path, route in _routes(feature):
        yield "route", path, route.endpoint


def _named_tool(tool: Any) -> tuple[str, Any]:
    function = getattr(tool, "function", tool)  # of a `Tool` with options
    return getattr(tool, "name", function.__name__), function


def _routes(feature: Feature) -> Iterator[tuple[str, APIRoute | APIWebSocketRoute]]:
    """Yield the method and path of each route, with the route."""
    for prefix, routers in (("/api/v1", feature.api), ("", feature.pages), ("", feature.site.routes)):
        for route in listed_routes(routers):
            if isinstance(route, APIRoute | APIWebSocketRoute):
                path = PARAMETER.sub("{}", prefix + route.path)
                for method in getattr(route, "methods", ("WEBSOCKET",)):
                    yield f"{method} {path}", route


def _qualified_name(object_: Any) -> str:
    return f"{object_.__module__}.{getattr(object_, '__qualname__', object_)}"
