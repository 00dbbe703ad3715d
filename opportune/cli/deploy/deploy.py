"""Write a host's files, check the settings by its rules, rehearse it here."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from opportune.checks import Finding
from opportune.cli.deploy.questions import complete_options
from opportune.cli.deploy.rehearse import host_meant, rehearse
from opportune.cli.development.check_results import as_data, refuse_errors, tell
from opportune.cli.development.startup import address_faults
from opportune.cli.output import print_json, say, warn
from opportune.cli.project.git import Git
from opportune.cli.terminal import styled
from opportune.config.project import PROJECT, display_path
from opportune.config.settings import get_settings
from opportune.errors import OperatorError
from opportune.ops.deploy.check import check_deployment
from opportune.ops.deploy.env_production import ENV_PRODUCTION, GENERATED, setting_hints, write_env
from opportune.ops.deploy.host_files import FileResult, Outcome, render_files, render_lines, write_files, write_text
from opportune.ops.deploy.recipes import RECIPES, Recipe
from opportune.ops.deploy.rules.deployment import Deployment, DeploymentOptions
from opportune.ops.deploy.site_names import (
    EXAMPLE_DOMAIN,
    SiteNames,
    github_repository,
    project_name,
    require_domain,
    require_name,
)
from opportune.ops.deploy.traps import trap_lines
from opportune.ops.deploy.values import (
    check_domain,
    check_file,
    check_service_file,
    check_values,
    production_values,
    settings_from,
)

command = typer.Typer()
command.command()(rehearse)


def recipe_of(name: str) -> Recipe:
    """The recipe of a host.

    Raises:
        typer.BadParameter: there is none of that name.
    """
    if recipe := RECIPES.get(name.lower()):
        return recipe
    raise typer.BadParameter(f"There is no host {name[:40]!r}.{host_meant(name)} Known are {', '.join(RECIPES)}.")


HostName = Annotated[
    str, typer.Argument(metavar="HOST", help=f"One of {', '.join(RECIPES)}.", autocompletion=lambda: [*RECIPES])
]


@command.command()
def init(
    host: HostName,
    name: Annotated[str, typer.Option(help="What the host calls the site. [default: the project's name]")] = "",
    domain: Annotated[str, typer.Option(help="A domain of your own, such as example.org.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Write files anew that have been edited.")] = False,
) -> None:
    """Write what a host wants into the project. Says what comes next."""
    recipe = recipe_of(host)
    site = site_names(name, domain)
    results = [*write_files(render_files(recipe, site), PROJECT, force=force)]
    for result in results:
        tell_file(result)
    tell_env(write_env(PROJECT / ENV_PRODUCTION, recipe, site), recipe)
    keep_out_of_git()
    tell_lines(f"What to know of {recipe.host.title}", [f"- {line}" for line in trap_lines(recipe, site)])
    tell_lines("What comes next", [*first_commands(recipe.host.name), *render_lines("next", recipe, site)])
    say(f"\nMore: docs/deploy/{recipe.host.name.removesuffix('-persistent')}.md")
    if kept := [result.path for result in results if result.outcome is Outcome.KEPT]:
        raise OperatorError(f"{', '.join(kept)} has been edited and stays as it is; --force writes it as shown above.")


def first_commands(host: str) -> list[str]:
    return [
        f"# Fill in {ENV_PRODUCTION}. Then its settings by the host's rules, and the whole of it on this machine:",
        *(f"python3 oppman.py deploy {verb} {host}" for verb in ("check", "rehearse")),
    ]


def site_names(name: str, domain: str) -> SiteNames:
    remote = Git(PROJECT).run("remote", "get-url", "origin") if (PROJECT / ".git").exists() else None
    names = {"repository": github_repository(remote.stdout.decode()) if remote else ""}
    return SiteNames(
        require_name(name or project_name(PROJECT) or "site"),
        get_settings().site_name,
        require_domain(domain) if domain else EXAMPLE_DOMAIN,
        **{key: value for key, value in names.items() if value},
    )


def tell_file(result: FileResult) -> None:
    say(f"{result.outcome.value} {result.path}")
    for line in result.diff.splitlines():
        say(f"  {styled(line, {'-': 'red', '+': 'green'}.get(line[:1], 'bold'))}")


def tell_env(added: list[str] | None, recipe: Recipe) -> None:
    if added is None:
        generated = [name for name in setting_hints(recipe) if name in GENERATED]
        say(f"Wrote {ENV_PRODUCTION}" + (f", with a new {' and '.join(generated)}" if generated else ""))
    elif added:
        say(f"Added {', '.join(added)} to {ENV_PRODUCTION}")
    else:
        say(f"Unchanged {ENV_PRODUCTION}")


def keep_out_of_git() -> None:
    """Have git pass over a file in which secrets will stand."""
    path = PROJECT / ".gitignore"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if ENV_PRODUCTION not in {line.strip().lstrip("/") for line in text.splitlines()}:
        write_text(path, f"{text.rstrip()}\n{ENV_PRODUCTION}\n".lstrip())
        warn(f"Added {ENV_PRODUCTION} to .gitignore: secrets will stand in it.")


def tell_lines(heading: str, lines: list[str]) -> None:
    say(f"\n{styled(heading, 'bold')}")
    for line in lines:
        say(f"  {line}".rstrip())


@command.command()
def check(
    host: HostName,
    env_file: Annotated[
        Path | None, typer.Option("--env-file", help=f"The settings. [default: {ENV_PRODUCTION}, if there is one]")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "--no-input", help="Ask nothing: no paid plan, no volume, no pooler.")
    ] = False,
    paid: Annotated[bool | None, typer.Option("--paid/--free", help="The plan.", show_default=False)] = None,
    volume: Annotated[
        bool | None, typer.Option("--volume/--no-volume", help="A disk that is kept is at data/.", show_default=False)
    ] = None,
    pooler: Annotated[
        bool | None, typer.Option("--pooler/--no-pooler", help="PgBouncer before the database.", show_default=False)
    ] = None,
    domain: Annotated[str, typer.Option(help="A domain of your own.")] = "",
    workers: Annotated[int, typer.Option(min=1, help="What runserver gets as --workers.")] = 1,
    ephemeral: Annotated[
        bool, typer.Option("--ephemeral", help="What is written may be lost at each restart: a demonstration.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs; asks nothing.")] = False,
) -> None:
    """Look at production's settings as the host will, before a push. Exits with 1 if there are errors."""
    recipe = recipe_of(host)
    file = env_file or (PROJECT / ENV_PRODUCTION if (PROJECT / ENV_PRODUCTION).exists() else None)
    options = DeploymentOptions(paid, volume, pooler, ephemeral, workers, require_domain(domain) if domain else None)
    findings = [*findings_for(recipe, file, options, yes=yes or as_json)]
    if as_json:
        print_json({"host": recipe.host.name, **as_data(findings, ())})
    else:
        say(f"{recipe.host.title}, with the settings of {display_path(file) if file else 'the environment'}:")
        tell(findings, ())
    refuse_errors(findings)
    if not as_json:
        say("No errors found.")


def check_git(file: Path) -> Iterator[Finding]:
    if (PROJECT / ".git").exists() and Git(PROJECT).answers("ls-files", "--error-unmatch", file.resolve()):
        yield Finding(
            f"git has {file.name}, and with it whoever has the repository: git rm --cached {file.name}, and make new "
            "secrets."
        )


def findings_for(recipe: Recipe, file: Path | None, options: DeploymentOptions, *, yes: bool) -> Iterator[Finding]:
    values = production_values(recipe, file)
    yield from check_values(recipe, values)
    if file:
        yield from check_file(recipe, file)
        yield from check_git(file)
    yield from check_service_file(recipe, values, PROJECT)
    settings, faults = settings_from(recipe, values)
    yield from faults
    if settings:
        yield from check_domain(recipe, settings.base_url, PROJECT)
        deployment = Deployment(recipe, settings, values, options)
        told = [*check_deployment(replace(deployment, options=complete_options(deployment, yes=yes)))]
        yield from told
        # What no rule of a host is about, and a start there would refuse: a schedule, the cache's address.
        known = {each.text for each in told}
        yield from (Finding(text) for text in address_faults(settings) if text not in known)
