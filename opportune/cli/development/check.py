"""Check the settings, the code and the database.

The exit code is 1 if there are errors.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from pkgutil import resolve_name
from typing import Annotated, Any, get_args

import typer
from dotenv import dotenv_values
from fastapi.routing import APIRoute

from opportune.accounts.events.kinds import add_event_kinds
from opportune.admin.declared_permissions import DeclaredPermissions
from opportune.admin.extensions import extension_classes
from opportune.admin.middleware import add_icons
from opportune.admin.view_classes import find_view_errors, view_classes, views_without_model
from opportune.checks import Check, Finding, check_production, check_secret_key, production_checks
from opportune.cli.development import startup
from opportune.cli.development.database_checks import check_database, check_superusers, check_vectors, url_notices
from opportune.cli.development.findings import as_data, print_findings, refuse_errors
from opportune.cli.development.references import check_references, imports_in_code
from opportune.cli.error_reports import describe_unexpected, explain_cause, print_traceback
from opportune.cli.loading import find_unlisted_commands, import_command
from opportune.cli.loop import open_event_loop
from opportune.cli.options import AsJson
from opportune.cli.output import Progress, print_json, progress, say
from opportune.cli.registry import MODULES
from opportune.cli.translations.checks import check_catalogues, check_language_urls, check_links, check_new_texts
from opportune.config.base_settings import setting_names, settings_classes
from opportune.config.env_example import env_example
from opportune.config.hosts import current_host
from opportune.config.settings import Settings, get_settings, read_feature_settings
from opportune.db.factory import open_database
from opportune.db.models.model import Versioned
from opportune.errors import OperatorError
from opportune.errors.suggestions import did_you_mean
from opportune.features.core import all_features
from opportune.features.registration import find_registration_errors
from opportune.jobs.checks import find_invalid_schedules
from opportune.mail import DeliveryError
from opportune.mail.email import environment as mail_templates
from opportune.mail.factory import transport_for
from opportune.project.feature_packages import HAS_PROJECT
from opportune.project.installed import installed_features
from opportune.project.layout import PACKAGE, PROJECT, USERS, display_path, feature_folder, feature_module
from opportune.project.pyproject import PYPROJECT, read_pyproject
from opportune.schemas import field_faults, schema_faults
from opportune.storage import open_storage
from opportune.web.rendering.template_errors import (
    calls_in_templates,
    missing_feature_templates,
    template_errors,
    unused_templates,
)
from opportune.web.rendering.templates import templates
from opportune.web.routing.api_router import listed_routes, with_dependencies
from opportune.web.static import icons


def command(
    deploy: Annotated[bool, typer.Option("--deploy", help="Add the checks for production.")] = False,
    with_connections: Annotated[
        bool, typer.Option("--try", help="Also connect to the mail server and the backup storage.")
    ] = False,
    no_database: Annotated[bool, typer.Option("--no-database", help="Leave out the checks of the database.")] = False,
    as_json: AsJson = False,
) -> None:
    settings = get_settings()
    installed_features()  # without them, most checks would find errors that are none
    checks = [*CHECKS]
    if not no_database:
        checks += DATABASE_CHECKS
    if deploy:
        checks += deploy_checks()
    if with_connections:
        checks += connection_checks()
    with progress("Checking", len(checks), "checks") as bar:
        findings = [*dict.fromkeys(run_checks(checks, settings, bar))]
    if as_json:
        print_json(as_data(findings, url_notices(settings)))
    else:
        print_findings(findings, url_notices(settings))
    refuse_errors(findings)
    if not as_json:
        say("No errors found.")


def deploy_checks() -> tuple[Check, ...]:
    """Return the checks for production. On a known host, those of the host replace those of the framework."""
    features = installed_features()
    names = [feature.monitoring.host_check for feature in features if feature.monitoring.host_check]
    if not names or not current_host():
        return (*production_checks(all_features(features)), check_superusers, check_new_texts)
    host_checks: list[Check] = [*map(resolve_name, names)]
    registered = (check for feature in features for check in feature.monitoring.production_checks)
    return (check_production, *host_checks, *registered, check_superusers)


def connection_checks() -> Iterator[Check]:
    yield check_mail_server
    yield from (check for feature in installed_features() for check in feature.monitoring.connection_checks)


def run_checks(checks: Sequence[Check], settings: Settings, bar: Progress) -> Iterator[Finding]:
    for check in checks:
        try:
            yield from check(settings)
        except typer.Exit:
            raise
        except Exception as error:  # noqa: BLE001 - code of the project may raise any, and other checks continue
            if not isinstance(error, OperatorError):
                print_traceback(error)
            yield Finding(_describe(error))
        bar.advance()


def _describe(error: Exception) -> str:
    if notes := getattr(error, "__notes__", []):  # of an invalid route
        return " ".join([str(error).partition("\n")[0], *notes])
    return str(error) if isinstance(error, OperatorError) else explain_cause(error) or describe_unexpected(error)


def check_env_file(_settings: Settings) -> Iterator[Finding]:
    path = PROJECT / ".env"
    if path.exists() and _others_may_read(path):
        yield Finding(f"Other users of this machine can read the secrets in .env. Run chmod 600 {path}.")


def _others_may_read(path: Path) -> bool:
    return sys.platform != "win32" and bool(path.stat().st_mode & 0o077)


def check_pyproject(_settings: Settings) -> Iterator[Finding]:
    if HAS_PROJECT and "project" not in read_pyproject(PROJECT):
        yield Finding(f"{PYPROJECT} has no table [project]. Restore it.")


def check_names(_settings: Settings) -> Iterator[Finding]:
    names, left_out = setting_names(), startup.settings_left_out()
    yield from (Finding(message, is_error=False) for message in left_out.values())
    for name in dotenv_values(PROJECT / ".env"):
        if name.upper() not in names and name not in left_out:
            hint = did_you_mean(name, names) or " List all: python3 oppman.py env --all"
            yield Finding(f"{name} in .env is not a setting and has no effect.{hint}", is_error=False)


def check_urls(settings: Settings) -> Iterator[Finding]:
    yield from map(Finding, startup.url_faults(settings))


def check_registration(_settings: Settings) -> Iterator[Finding]:
    yield from map(Finding, find_registration_errors(all_features(installed_features()), is_complete=True))


def check_features(settings: Settings) -> Iterator[Finding]:
    """Check the settings of features, and run their checks."""
    try:
        read_feature_settings(settings, installed_features())
    except OperatorError as error:
        yield Finding(str(error))
        return
    for feature in all_features(installed_features()):
        yield from map(Finding, find_invalid_schedules(settings, feature.jobs.definitions))
        for check in feature.monitoring.checks:
            yield from check(settings)


def check_admin(_settings: Settings) -> Iterator[Finding]:
    """Find unknown names in admin views and extensions, which would prevent the start of the admin."""
    features = installed_features()
    views = [view for view, _ in view_classes(features)]
    yield from map(Finding, find_view_errors(views))
    try:
        list(extension_classes(features))
    except OperatorError as error:
        yield Finding(str(error))
    for feature in features:
        yield from (Finding(line, is_error=False) for line in views_without_model(feature))


def check_versions(_settings: Settings) -> Iterator[Finding]:
    """Find `Versioned` models of which no versions are kept."""
    features = installed_features()
    if any(feature.name == "row_versions" for feature in features):
        return
    models = [model for feature in features for model in feature.models]
    for model in models:
        if issubclass(model, Versioned):
            problem = f"{model.__name__} is Versioned, but no versions are kept."
            yield Finding(f"{problem} Add `row_versions` to {PACKAGE}/installed.py.", is_error=False)


def check_modules(_settings: Settings) -> Iterator[Finding]:
    """Find files of features that no code imports, after the checks that import everything of the site."""
    imported = {*sys.modules, *imports_in_code()}
    for feature in installed_features():
        used = {*feature.commands.values(), feature.quickstart, *imported}
        for path in sorted(feature_folder(feature.name).glob("[!_]*.py")):
            if feature.name != USERS and f"{feature_module(feature.name)}.{path.stem}" not in used:
                text = f"{display_path(path)} has no effect, because no code imports it. Use it in feature.py."
                yield Finding(text, is_error=path.stem in PARTS)


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
                yield Finding(f"{problem} Read a Pydantic model with the fields to set.", is_error=False)


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
    yield from (Finding(line, is_error=False) for line in unused_templates())


def check_env_example(_settings: Settings) -> Iterator[Finding]:
    path = PROJECT / ".env.example"
    if path.exists() and path.read_text(encoding="utf-8") != env_example(settings_classes()):
        yield Finding(
            ".env.example does not match the settings. Update it: python3 oppman.py env example",
            is_error=False,
        )


def check_storage(settings: Settings) -> Iterator[Finding]:
    with suppress(OperatorError), open_event_loop() as loop:  # reported by check_urls
        if problem := loop.run(_storage_problem(settings)):
            yield Finding(problem)


async def _storage_problem(settings: Settings) -> str:
    async with open_database(settings) as database:
        return await open_storage(settings, database).check()


def check_mail_server(settings: Settings) -> Iterator[Finding]:
    """Connect to the mail server of MAIL_URL without sending an e-mail."""
    with suppress(OperatorError):  # reported by check_urls
        transport = transport_for(settings)
        with open_event_loop() as loop:
            try:
                loop.run(transport.check())
            except DeliveryError as error:
                yield Finding(str(error))


def check_icons(_settings: Settings) -> Iterator[Finding]:
    features = installed_features()
    add_icons(features)
    add_event_kinds(features)
    icons.add(*(view.icon for view, _ in view_classes(features)))
    yield from (Finding(problem, is_error=False) for problem in icons.find_icon_errors())


CHECKS: tuple[Check, ...] = (
    check_env_file,
    check_pyproject,
    check_names,
    check_secret_key,
    check_urls,
    check_registration,
    check_features,
    check_admin,
    check_versions,
    check_commands,
    check_schemas,
    check_request_bodies,
    check_permissions,
    check_templates,
    check_references,
    check_env_example,
    check_icons,
    check_catalogues,
    check_language_urls,
    check_links,
    check_modules,
)
PARTS = ("admin", "api", "demo", "hooks", "jobs", "pages", "settings", "tools")
"""Files of features that other files name."""
DATABASE_CHECKS: tuple[Check, ...] = (check_storage, check_database, check_vectors)
