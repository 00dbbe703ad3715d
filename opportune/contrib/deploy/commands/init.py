"""`deploy init`: write the files of a host."""

from typing import Annotated

import typer

from opportune.cli.output import say, say_next, warn
from opportune.cli.project.git import Git, has_repository
from opportune.cli.terminal import styled
from opportune.config.settings import get_settings
from opportune.contrib.deploy import host_files, site_names
from opportune.contrib.deploy.commands.host_names import HostName, find_recipe
from opportune.contrib.deploy.env_production import ENV_PRODUCTION, GENERATED, setting_hints, write_env
from opportune.contrib.deploy.recipes import Recipe
from opportune.contrib.deploy.text_files import write_deploy_file
from opportune.errors import OperatorError
from opportune.project.current import OPPMAN
from opportune.project.layout import PROJECT
from opportune.project.text_files import read_text


def command(
    host: HostName,
    name: Annotated[str, typer.Option(help="Name of the site at the host. [default: the project's name]")] = "",
    domain: Annotated[str, typer.Option(help="Domain of the site, such as example.org.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Overwrite edited files.")] = False,
) -> None:
    """Write the files of a host, and print the next steps."""
    recipe = find_recipe(host)
    site = site_names.SiteNames(
        site_names.require_name(name or site_names.project_name(PROJECT) or "site"),
        get_settings().site_name,
        site_names.require_domain(domain) if domain else site_names.EXAMPLE_DOMAIN,
        find_repository(),
    )
    results = host_files.write_files(host_files.render_files(recipe, site), PROJECT, force=force)
    for result in results:
        print_file_result(result)
    print_env_result(write_env(PROJECT / ENV_PRODUCTION, recipe, site), recipe)
    ignore_in_git()
    say(f"\n{styled('Next steps', 'bold')}")
    heading = f"  # Fill in {ENV_PRODUCTION}. Then check it, and rehearse the deployment on this machine:"
    say_next(*(f"deploy {verb} {recipe.host.name}" for verb in ("check", "rehearse")), heading=heading)
    for line in host_files.render_steps(recipe, site):
        say(f"  {line}".rstrip())
    page = f"deploy/{recipe.host.name.removesuffix('-persistent')}"
    say(f"\nLimits of {recipe.host.title}, and more: {OPPMAN} docs {page}")
    if edited := [result.path for result in results if result.outcome is host_files.FileOutcome.KEPT]:
        raise OperatorError(
            f"Not overwritten, because they were edited: {', '.join(edited)}. Add --force to write them as shown above."
        )


def find_repository() -> str:
    """Return the name of the project's repository at GitHub; empty if it has none."""
    if not has_repository(PROJECT):
        return ""
    remote = Git(PROJECT).run("remote", "get-url", "origin")
    return site_names.github_repository(remote.stdout.decode())


def print_file_result(result: host_files.FileResult) -> None:
    say(f"{result.outcome.value} {result.path}")
    for line in result.diff.splitlines():
        style = {"-": "red", "+": "green"}.get(line[:1], "bold")
        say(f"  {styled(line, style)}")


def print_env_result(added: list[str] | None, recipe: Recipe) -> None:
    if added is None:
        generated = " and ".join(name for name in setting_hints(recipe) if name in GENERATED)
        say(f"Wrote {ENV_PRODUCTION}, with a new {generated}" if generated else f"Wrote {ENV_PRODUCTION}")
    elif added:
        say(f"Added {', '.join(added)} to {ENV_PRODUCTION}")
    else:
        say(f"Unchanged {ENV_PRODUCTION}")


def ignore_in_git() -> None:
    """Add the file with production secrets to .gitignore."""
    path = PROJECT / ".gitignore"
    text = read_text(path) if path.exists() else ""
    if ENV_PRODUCTION not in {line.strip().lstrip("/") for line in text.splitlines()}:
        write_deploy_file(path, f"{text.rstrip()}\n{ENV_PRODUCTION}\n".lstrip())
        warn(f"Added {ENV_PRODUCTION} to .gitignore, because it will contain secrets.")
