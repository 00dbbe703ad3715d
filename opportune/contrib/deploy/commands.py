"""Write the files of a host, check production settings, or rehearse a deployment."""

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from opportune.checks import Finding
from opportune.cli.development.findings import as_data, print_findings, refuse_errors
from opportune.cli.development.startup import url_faults
from opportune.cli.output import print_json, say, warn
from opportune.cli.project.git import Git
from opportune.cli.terminal import styled
from opportune.config.hosts import Host
from opportune.config.settings import get_settings
from opportune.contrib.deploy.check import check_deployment
from opportune.contrib.deploy.env_production import ENV_PRODUCTION, GENERATED, setting_hints, write_env
from opportune.contrib.deploy.host_files import (
    EXAMPLE_DOMAIN,
    FileOutcome,
    FileResult,
    SiteNames,
    github_repository,
    project_name,
    render_files,
    render_steps,
    require_domain,
    require_name,
    write_files,
    write_text,
)
from opportune.contrib.deploy.questions import complete_options
from opportune.contrib.deploy.recipes import RECIPES, Recipe
from opportune.contrib.deploy.rehearsal.rehearse import Rehearsal, rehearsal_server
from opportune.contrib.deploy.rehearsal.rules import Rules
from opportune.contrib.deploy.rehearsal.stage import Outcome, find_question_endpoint
from opportune.contrib.deploy.rules.deployment import Deployment, DeploymentOptions
from opportune.contrib.deploy.values import (
    check_domain,
    check_file,
    check_scaling,
    check_service_file,
    check_values,
    production_values,
    settings_from,
)
from opportune.errors import OperatorError
from opportune.errors.suggestions import did_you_mean
from opportune.project.layout import PROJECT, display_path
from opportune.project.modules import site_application

command = typer.Typer()
HostName = Annotated[
    str, typer.Argument(metavar="HOST", help=f"One of {', '.join(RECIPES)}.", autocompletion=lambda: [*RECIPES])
]
ALIASES = {
    **dict.fromkeys(("droplet", "digitalocean", "hetzner", "vps", "systemd", "debian", "ubuntu"), "linux"),
    **dict.fromkeys(("docker", "docker-compose"), "compose"),
    **dict.fromkeys(("procfile", "dokku"), "heroku"),
    **dict.fromkeys(("gcp", "google", "google-cloud-run"), "cloudrun"),
    **dict.fromkeys(("hf", "spaces"), "huggingface"),
    "k8s": "kubernetes",
}
"""Other names of hosts, which `did_you_mean` would not find."""
COLOURS = {"PASSED": "green", "FAILED": "red", "SKIPPED": "dim"}


def find_recipe(name: str) -> Recipe:
    """Return the recipe of a host.

    Raises:
        typer.BadParameter: the host is unknown.
    """
    if recipe := RECIPES.get(name.lower()):
        return recipe
    alias = ALIASES.get(name.lower())
    hint = f" Did you mean {alias}?" if alias else did_you_mean(name, RECIPES)
    raise typer.BadParameter(f"There is no host {name[:40]!r}.{hint} Choose from {', '.join(RECIPES)}.")


@command.command()
def init(
    host: HostName,
    name: Annotated[str, typer.Option(help="Name of the site at the host. [default: the project's name]")] = "",
    domain: Annotated[str, typer.Option(help="Domain of the site, such as example.org.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Overwrite edited files.")] = False,
) -> None:
    """Write the files of a host, and print the next steps."""
    recipe = find_recipe(host)
    site = find_site_names(name, domain)
    results = write_files(render_files(recipe, site), PROJECT, force=force)
    for result in results:
        print_file_result(result)
    print_env_result(write_env(PROJECT / ENV_PRODUCTION, recipe, site), recipe)
    ignore_in_git()
    say(f"\n{styled('Next steps', 'bold')}")
    say(f"  # Fill in {ENV_PRODUCTION}. Then check it, and rehearse the deployment on this machine:")
    for verb in ("check", "rehearse"):
        say(f"  python3 oppman.py deploy {verb} {recipe.host.name}")
    for line in render_steps(recipe, site):
        say(f"  {line}".rstrip())
    page = f"deploy/{recipe.host.name.removesuffix('-persistent')}"
    say(f"\nLimits of {recipe.host.title}, and more: python3 oppman.py docs {page}")
    if edited := [result.path for result in results if result.outcome is FileOutcome.KEPT]:
        raise OperatorError(
            f"Not overwritten, because they were edited: {', '.join(edited)}. Add --force to write them as shown above."
        )


def find_site_names(name: str, domain: str) -> SiteNames:
    remote = Git(PROJECT).run("remote", "get-url", "origin") if (PROJECT / ".git").exists() else None
    return SiteNames(
        require_name(name or project_name(PROJECT) or "site"),
        get_settings().site_name,
        require_domain(domain) if domain else EXAMPLE_DOMAIN,
        github_repository(remote.stdout.decode() if remote else ""),
    )


def print_file_result(result: FileResult) -> None:
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
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if ENV_PRODUCTION not in {line.strip().lstrip("/") for line in text.splitlines()}:
        write_text(path, f"{text.rstrip()}\n{ENV_PRODUCTION}\n".lstrip())
        warn(f"Added {ENV_PRODUCTION} to .gitignore, because it will contain secrets.")


@command.command()
def check(
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
    file = env_file or (PROJECT / ENV_PRODUCTION if (PROJECT / ENV_PRODUCTION).exists() else None)
    own_domain = require_domain(domain) if domain else None
    options = DeploymentOptions(paid, volume, pooler, ephemeral, workers, machines, own_domain)
    findings = [*findings_for(recipe, file, options, yes=yes or as_json)]
    if as_json:
        print_json({"host": recipe.host.name, **as_data(findings, ())})
    else:
        say(f"{recipe.host.title}, with the settings of {display_path(file) if file else 'the environment'}:")
        print_findings(findings, ())
    refuse_errors(findings)
    if not as_json:
        say("No errors found.")


def check_git(file: Path) -> Iterator[Finding]:
    if (PROJECT / ".git").exists() and Git(PROJECT).succeeds("ls-files", "--error-unmatch", file.resolve()):
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
    settings, findings = settings_from(recipe, values)
    yield from findings
    if settings:
        yield from check_domain(recipe, settings.base_url, PROJECT)
        deployment = Deployment(recipe, settings, values, options)
        findings = [*check_deployment(replace(deployment, options=complete_options(deployment, yes=yes)))]
        yield from findings
        # The rules of a host do not cover invalid URLs and schedules, which would prevent the start.
        reported = {finding.text for finding in findings}
        yield from (Finding(text) for text in url_faults(settings) if text not in reported)


@command.command()
def rehearse(
    names: Annotated[list[str] | None, typer.Argument(metavar="HOST", help="Hosts whose rules to apply.")] = None,
    rehearse_all: Annotated[bool, typer.Option("--all", help="Rehearse for every host.")] = False,
    full: Annotated[
        bool,
        typer.Option(
            "--full",
            help="Use the real timeouts and processor limits of the host, which takes minutes. [default: seconds]",
        ),
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the files of the rehearsal.")] = False,
) -> None:
    """Rehearse a deployment on this machine under the rules of a host."""
    if sys.platform == "win32":
        raise OperatorError("Rehearsals need Linux or macOS. On Windows, run them in WSL.")
    names = [*RECIPES] if rehearse_all else names or []
    if not names:
        raise typer.BadParameter(f"Enter a host ({', '.join(RECIPES)}) or --all.")
    hosts = [find_recipe(name).host for name in names]
    try:
        with asyncio.Runner() as runner:
            failed = runner.run(_rehearse(hosts, full=full, keep=keep))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise typer.Exit(130) from None
    raise typer.Exit(1 if failed else 0)


async def _rehearse(hosts: list[Host], *, full: bool, keep: bool) -> int:
    if sys.platform != "win32" and (task := asyncio.current_task()):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    outcomes = Counter[Outcome]()
    questions = find_question_endpoint(site_application())
    with rehearsal_server() as server:
        for host in hosts:
            say(f"\n{host.title}")
            rehearsal = Rehearsal(Rules.for_host(host, full=full), PROJECT, server, questions, keeps_files=keep)
            async for result in rehearsal.run(lambda line: say(f"  {line}")):
                outcomes[result.outcome] += 1
                word = styled(f"{result.outcome.value:<8}", COLOURS[result.outcome.name])
                print(f"  {word}  {result.step:<18} {result.text}", flush=True)
                if result.fix:
                    print(f"  {'':8}  {'':18} fix: {result.fix}", flush=True)
    passed, failed, skipped = (outcomes[outcome] for outcome in (Outcome.PASSED, Outcome.FAILED, Outcome.SKIPPED))
    note = "" if full else " (shortened timeouts; use --full for the real ones)"
    say(f"\n{passed} passed, {failed} failed, {skipped} skipped{note}.")
    return failed
