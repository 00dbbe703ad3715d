"""Check the settings, the code and the database.

The exit code is 1 if there are errors.
"""

from collections.abc import Iterator, Sequence
from pkgutil import resolve_name
from typing import Annotated

import typer

from opportune.checks import Check, Finding, check_production, check_secret_key, production_checks
from opportune.cli.development import feature_checks, settings_checks
from opportune.cli.development.database_checks import check_database, check_superusers, check_vectors, url_notices
from opportune.cli.development.findings import as_data, print_findings, refuse_errors
from opportune.cli.development.references import check_references
from opportune.cli.error_reports import describe_unexpected, explain_cause, print_traceback
from opportune.cli.options import AsJson
from opportune.cli.output import Progress, print_json, progress, say
from opportune.config.hosts import current_host
from opportune.config.settings import Settings, get_settings
from opportune.errors import OperatorError
from opportune.features.core import all_features
from opportune.project.installed import installed_features

CHECKS: tuple[Check, ...] = (
    settings_checks.check_env_file,
    settings_checks.check_pyproject,
    settings_checks.check_names,
    check_secret_key,
    settings_checks.check_urls,
    feature_checks.check_registration,
    feature_checks.check_features,
    feature_checks.check_admin,
    feature_checks.check_versions,
    feature_checks.check_migrated_models,
    feature_checks.check_commands,
    feature_checks.check_schemas,
    feature_checks.check_request_bodies,
    feature_checks.check_permissions,
    feature_checks.check_templates,
    feature_checks.check_syntax,
    check_references,
    settings_checks.check_env_example,
    feature_checks.check_icons,
    feature_checks.check_language_urls,
    feature_checks.check_sources,
    feature_checks.check_modules,
)
DATABASE_CHECKS: tuple[Check, ...] = (settings_checks.check_storage, check_database, check_vectors)


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
        checks.append(settings_checks.check_mail_server)
        checks += (check for feature in installed_features() for check in feature.monitoring.connection_checks)
    with progress("Checking", len(checks), "checks") as bar:
        findings = [*dict.fromkeys(_run_checks(checks, settings, bar))]
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
        paths = [path for feature in features for path in feature.monitoring.deploy_checks]
        return (*production_checks(all_features(features)), check_superusers, *map(resolve_name, paths))
    host_checks: list[Check] = [*map(resolve_name, names)]
    registered = (check for feature in features for check in feature.monitoring.production_checks)
    return (check_production, *host_checks, *registered, check_superusers)


def _run_checks(checks: Sequence[Check], settings: Settings, bar: Progress) -> Iterator[Finding]:
    for check in checks:
        try:
            yield from check(settings)
        except typer.Exit:
            raise
        except OperatorError as error:
            yield Finding(_describe(error))
        except Exception as error:  # noqa: BLE001 - code of the project may raise any, and other checks continue
            print_traceback(error)
            yield Finding(_describe(error))
        bar.advance()


def _describe(error: Exception) -> str:
    if notes := getattr(error, "__notes__", []):  # of an invalid route
        return " ".join([str(error).partition("\n")[0], *notes])
    return str(error) if isinstance(error, OperatorError) else explain_cause(error) or describe_unexpected(error)
