"""Checks of what the installed features declare."""

import sys
from collections.abc import Iterator
from itertools import chain
from pkgutil import resolve_name
from typing import Any, get_args

from fastapi.routing import APIRoute

from opportune.accounts.events.kinds import add_event_kinds
from opportune.admin.declared_permissions import DeclaredPermissions
from opportune.admin.extensions import extension_classes
from opportune.admin.middleware import add_icons
from opportune.admin.view_classes import find_view_errors, view_classes, views_without_model
from opportune.checks import Finding
from opportune.cli.development.project_code import imports_in_code
from opportune.cli.error_reports import describe_unexpected
from opportune.cli.loading import find_unlisted_commands, import_command
from opportune.cli.registry import MODULES
from opportune.config.settings import Settings, read_feature_settings
from opportune.db.migrations.ownership import find_unmigrated_models
from opportune.db.models.model import Versioned
from opportune.errors import OperatorError
from opportune.features.consistency import find_registration_errors
from opportune.features.core import all_features
from opportune.jobs.checks import find_invalid_schedules
from opportune.jobs.limits import ALL_QUEUES
from opportune.mail.templates import environment as mail_templates
from opportune.project.installed import installed_features
from opportune.project.layout import PACKAGE, PROJECT, USERS, display_path, feature_folder, feature_module
from opportune.schemas import field_faults, schema_faults
from opportune.web.language import url_prefixes
from opportune.web.rendering.template_errors import (
    calls_in_templates,
    missing_feature_templates,
    template_errors,
    unused_templates,
)
from opportune.web.rendering.templates import templates
from opportune.web.routing.api_router import listed_routes, with_dependencies
from opportune.web.static import icons

USED_MODULES = ("admin", "api", "demo", "hooks", "jobs", "pages", "settings", "tools")
"""Modules of a feature that have no effect unless another module names them."""


def check_registration(_settings: Settings) -> Iterator[Finding]:
    yield from map(Finding, find_registration_errors(all_features(installed_features()), is_complete=True))


def check_features(settings: Settings) -> Iterator[Finding]:
    """Run the checks of features, if their settings are valid."""
    read_feature_settings(settings, installed_features())
    queues = {job.queue for feature in all_features(installed_features()) for job in feature.jobs.definitions}
    for name in settings.jobs_limits.keys() - queues - {ALL_QUEUES}:
        yield Finding.warning(f"JOBS_LIMITS: no job has the queue {name}. Correct its name.")
    for feature in all_features(installed_features()):
        yield from find_invalid_schedules(settings, feature.jobs.definitions)
        for check in feature.monitoring.checks:
            yield from check(settings)


def check_sources(settings: Settings) -> Iterator[Finding]:
    """Run the checks of features that read source files, which are imported now."""
    for path in chain.from_iterable(feature.monitoring.source_checks for feature in installed_features()):
        yield from resolve_name(path)(settings)


def check_admin(_settings: Settings) -> Iterator[Finding]:
    """Find unknown names in admin views and extensions, which would prevent the start of the admin."""
    features = installed_features()
    yield from map(Finding, find_view_errors([view for view, _ in view_classes(features)]))
    for feature in features:
        yield from (Finding.warning(line) for line in views_without_model(feature))
    list(extension_classes(features))  # raises for a mistake


def check_versions(_settings: Settings) -> Iterator[Finding]:
    """Find `Versioned` models of which no versions are kept."""
    features = installed_features()
    if any(feature.name == "row_versions" for feature in features):
        return
    for model in chain.from_iterable(feature.models for feature in features):
        if issubclass(model, Versioned):
            problem = f"{model.__name__} is Versioned, but no versions are kept."
            yield Finding.warning(f"{problem} Add `row_versions` to {PACKAGE}/installed.py.")


def check_migrated_models(_settings: Settings) -> Iterator[Finding]:
    yield from (Finding.warning(line) for line in find_unmigrated_models())


def check_syntax(_settings: Settings) -> Iterator[Finding]:
    """Find syntax errors, also in files of the project that no code imports, such as a script."""
    for file in sorted((PROJECT / PACKAGE).rglob("*.py")):
        try:
            compile(file.read_bytes(), file, "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            yield Finding(describe_unexpected(error))


def check_modules(_settings: Settings) -> Iterator[Finding]:
    """Find files of features that no code imports, after the checks that import everything of the site."""
    for feature in installed_features():
        if feature.name == USERS:
            continue
        used = {*feature.commands.values(), feature.quickstart, *sys.modules}
        for path in sorted(feature_folder(feature.name).glob("[!_]*.py")):
            module = f"{feature_module(feature.name)}.{path.stem}"
            if module not in used and module not in imports_in_code(path.stem):
                text = f"{display_path(path)} has no effect, because no code imports it. Use it in feature.py."
                yield Finding(text, is_error=path.stem in USED_MODULES)


def check_commands(_settings: Settings) -> Iterator[Finding]:
    """Find commands of features that are hidden by built-in ones, cannot be loaded, or are not listed."""
    for feature in installed_features():
        for name, module in feature.commands.items():
            if name in MODULES:
                yield Finding(
                    f"Feature({feature.name!r}, commands=…) cannot replace the built-in command {name}. Rename yours."
                )
            elif not module.startswith("opportune."):
                yield from _command_errors(name, module)
    yield from (Finding(message) for _, message in find_unlisted_commands())


def _command_errors(name: str, module: str) -> Iterator[Finding]:
    try:
        import_command(name, module)
    except OperatorError as error:
        yield Finding(str(error))


def check_schemas(_settings: Settings) -> Iterator[Finding]:
    """Find types and options of fields that Pydantic cannot use, because the first request would fail."""
    yield from map(Finding, schema_faults())
    models = (model for feature in installed_features() for model in feature.models)
    yield from map(Finding, chain.from_iterable(map(field_faults, models)))


def check_request_bodies(_settings: Settings) -> Iterator[Finding]:
    """Find routes whose requests are rows of a table, because SQLModel does not validate these."""
    for feature in installed_features():
        routes = listed_routes(feature.pages, feature.api, feature.site.routes)
        for route in (route for route in routes if isinstance(route, APIRoute)):
            bodies = chain.from_iterable(dependant.body_params for dependant in with_dependencies(route.dependant))
            for table in chain.from_iterable(_tables_in(body.field_info.annotation) for body in bodies):
                problem = f"{route.path} reads {table.__name__}, a table, so requests set any column to any value."
                yield Finding.warning(f"{problem} Read a Pydantic model with the fields to set.")


def _tables_in(type_: Any) -> Iterator[Any]:
    """Yield the tables in a type, such as that in `list[Book] | None`."""
    if hasattr(type_, "__table__"):
        yield type_
    for argument in get_args(type_):
        yield from _tables_in(argument)


def check_permissions(_settings: Settings) -> Iterator[Finding]:
    """Find permissions for unknown models and actions in features' groups, routes and templates."""
    permissions = DeclaredPermissions(installed_features())
    yield from map(Finding, permissions.faults())
    for location, names in calls_in_templates("may"):
        if len(names) == 2 and (problem := permissions.find_fault(*names)):
            yield Finding(f"{location}: {problem}")


def check_templates(_settings: Settings) -> Iterator[Finding]:
    features = all_features(installed_features())
    templates.add_helpers(features)
    yield from map(Finding, [*template_errors(mails=mail_templates), *missing_feature_templates(features)])
    yield from (Finding.warning(line) for line in unused_templates())


def check_icons(_settings: Settings) -> Iterator[Finding]:
    features = installed_features()
    add_icons(features)
    add_event_kinds(features)
    icons.add(*(view.icon for view, _ in view_classes(features)))
    yield from (Finding.warning(problem) for problem in icons.find_icon_errors())


def check_language_urls(settings: Settings) -> Iterator[Finding]:
    """Report routes whose URL begins with the prefix of a language, because no request reaches them."""
    prefixes = tuple(f"{prefix}/" for prefix in url_prefixes(settings))
    for feature in all_features(installed_features()):
        paths = [getattr(route, "path", "") for route in listed_routes(feature.pages, feature.site.routes)]
        for path in dict.fromkeys(paths):
            if f"{path}/".startswith(prefixes):
                yield Finding(
                    f"{feature.name}: {path} begins with the code of a language of LANGUAGES. Rename the route."
                )
