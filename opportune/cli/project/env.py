"""List the settings and their sources, or create .env."""

from typing import Annotated

import typer

from opportune.admin.operations.settings_table import list_displayed_settings
from opportune.cli.options import AsJson
from opportune.cli.output import print_json, print_table, say
from opportune.cli.project.env_file import create_env, with_first_values
from opportune.config.base_settings import settings_classes
from opportune.config.env_example import env_example
from opportune.config.project import PROJECT, installed_features
from opportune.config.settings import get_settings

command = typer.Typer()


@command.callback(invoke_without_command=True)
def show(
    context: typer.Context,
    show_all: Annotated[bool, typer.Option("--all", help="Include settings with default values.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the settings and their sources: the environment, SECRETS_FROM or .env. Secrets are not shown."""
    if context.invoked_subcommand:
        return
    rows = list(list_displayed_settings(get_settings(), installed_features()))
    selected = [row for row in rows if show_all or row.source != "default"]
    if as_json:
        keys = ("name", "value", "from", "secret")
        print_json([dict(zip(keys, (row.name, row.value, row.source, row.is_secret), strict=True)) for row in selected])
        return
    if selected:
        print_table(("NAME", "VALUE", "FROM"), ((row.name, row.value, row.source) for row in selected))
    if defaults := len(rows) - len(selected):
        say(f"{defaults} settings have default values. List them with: python3 oppman.py env --all")


@command.command()
def init() -> None:
    """Write .env from .env.example, with a new SECRET_KEY. An existing .env is not changed."""
    example = PROJECT / ".env.example"
    text = example.read_text(encoding="utf-8") if example.is_file() else env_example(settings_classes())
    create_env(PROJECT / ".env", with_first_values(text))
    say("Wrote .env with a new SECRET_KEY, for development. To change a setting, remove the # in front of it.")
