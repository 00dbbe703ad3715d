"""`deploy check`: check the production settings."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from opportune.checks import Finding
from opportune.cli.development.findings import as_data, print_findings, refuse_errors
from opportune.cli.development.startup import url_faults
from opportune.cli.output import print_json, say
from opportune.cli.project.git import Git, has_repository
from opportune.contrib.deploy.check import check_deployment
from opportune.contrib.deploy.commands.host_names import HostName, find_recipe
from opportune.contrib.deploy.env_production import ENV_PRODUCTION
from opportune.contrib.deploy.host_file_checks import check_domain, check_file, check_scaling, check_service_file
from opportune.contrib.deploy.questions import complete_options
from opportune.contrib.deploy.recipes import Recipe
from opportune.contrib.deploy.rules.deployment import Deployment, DeploymentOptions
from opportune.contrib.deploy.site_names import require_domain
from opportune.contrib.deploy.values import check_values, production_values, settings_from
from opportune.project.layout import PROJECT, display_path


def command(
    host: HostName,
    env_file: Annotated[
        Path | None,
        typer.Option("--env-file", help=f"File with the settings. [default: {ENV_PRODUCTION}, if it exists]"),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "--no-input", help="Ask no questions: no paid plan, no volume, no pooler.")
    ] = False,
    paid: Annotated[bool | None, typer.Option("--paid/--free", help="Plan at the host.", show_default=False)] = None,
    volume: Annotated[
        bool | None,
        typer.Option("--volume/--no-volume", help="A persistent volume is mounted at data/.", show_default=False),
    ] = None,
    pooler: Annotated[
        bool | None, typer.Option("--pooler/--no-pooler", help="The database is behind PgBouncer.", show_default=False)
    ] = None,
    domain: Annotated[str, typer.Option(help="Domain of the site.")] = "",
    workers: Annotated[int, typer.Option(min=1, help="Number of workers of runserver.")] = 1,
    machines: Annotated[int, typer.Option(min=1, help="Number of machines, each with so many workers.")] = 1,
    ephemeral: Annotated[
        bool, typer.Option("--ephemeral", help="Accept that restarts lose all data, for a demonstration.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and ask no questions.")] = False,
) -> None:
    """Check the production settings against the rules of a host. The exit code is 1 if there are errors."""
    recipe = find_recipe(host)
    default_file = PROJECT / ENV_PRODUCTION
    file = env_file or (default_file if default_file.exists() else None)
    own_domain = require_domain(domain) if domain else None
    options = DeploymentOptions(paid, volume, pooler, ephemeral, workers, machines, own_domain)
    findings = [*findings_for(recipe, file, options, yes=yes or as_json)]
    if as_json:
        print_json({"host": recipe.host.name, **as_data(findings, ())})
    else:
        source = display_path(file) if file else "the environment"
        say(f"{recipe.host.title}, with the settings of {source}:")
        print_findings(findings, ())
    refuse_errors(findings)
    if not as_json:
        say("No errors found.")


def check_git(file: Path) -> Iterator[Finding]:
    if has_repository(PROJECT) and Git(PROJECT).succeeds("ls-files", "--error-unmatch", file.resolve()):
        yield Finding(
            f"{file.name} is in git, which exposes its secrets. Run git rm --cached {file.name} and create new ones."
        )


def findings_for(recipe: Recipe, file: Path | None, options: DeploymentOptions, *, yes: bool) -> Iterator[Finding]:
    values = production_values(recipe, file)
    yield from check_values(recipe, values)
    if file:
        yield from check_file(recipe, file)
        yield from check_git(file)
    yield from check_service_file(recipe, values, PROJECT)
    yield from check_scaling(recipe, values, PROJECT)
    settings, invalid_settings = settings_from(recipe, values)
    yield from invalid_settings
    if settings:
        yield from check_domain(recipe, settings.base_url, PROJECT)
        deployment = Deployment(recipe, settings, values, options)
        findings = [*check_deployment(replace(deployment, options=complete_options(deployment, yes=yes)))]
        yield from findings
        # The rules of a host do not cover invalid URLs and schedules, which would prevent the start.
        reported = {finding.text for finding in findings}
        yield from (Finding(text) for text in url_faults(settings) if text not in reported)
