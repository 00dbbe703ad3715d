"""List the settings and their sources, or create .env."""

from collections.abc import Iterable
from typing import Annotated

import typer

from opportune.admin.settings_table import DisplayedSetting, list_displayed_settings
from opportune.cli.options import AsJson
from opportune.cli.output import print_json, print_table, say
from opportune.cli.project.env_file import create_env, with_first_values
from opportune.cli.terminal import printable, styled
from opportune.config.base_settings import settings_classes
from opportune.config.env_example import describe_settings, env_example
from opportune.config.settings import get_settings
from opportune.project.installed import installed_features
from opportune.project.layout import PROJECT
from opportune.project.text_files import write_text

command = typer.Typer()


@command.callback(invoke_without_command=True)
def show(
    context: typer.Context,
    show_all: Annotated[bool, typer.Option("--all", help="List all settings with their descriptions.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the settings and their sources: the environment, SECRETS_FROM or .env. Secrets are not shown."""
    if context.invoked_subcommand:
        return
    rows = list(list_displayed_settings(get_settings(), installed_features()))
    selected = [row for row in rows if show_all or row.source != "default"]
    if as_json:
        keys = ("name", "value", "from", "secret", "default")
        values = ((row.name, row.value, row.source, row.is_secret, row.default) for row in selected)
        print_json([dict(zip(keys, row, strict=True)) for row in values])
    elif show_all:
        _print_descriptions(rows)
    elif selected:
        print_table(("NAME", "VALUE", "FROM"), ((row.name, row.value, row.source) for row in selected))
    if not as_json and (defaults := len(rows) - len(selected)):
        say(f"{defaults} settings have default values. List them with: python3 oppman.py env --all")


def _print_descriptions(rows: Iterable[DisplayedSetting]) -> None:
    """Print each setting with its source, its default and its description."""
    descriptions = describe_settings(settings_classes())
    area = ""
    for row in rows:
        setting = descriptions[row.name.lower()]
        if setting.area != area:
            area = setting.area
            print(f"{styled(area, 'bold')}\n")
        default = f", default {setting.default}" if row.differs and setting.default else ""
        print(printable(f"{row.name}={row.value}  ({row.source}{default})"))
        print("".join(f"    {line.strip()}\n" for line in setting.text.splitlines()))


@command.command()
def init() -> None:
    """Write .env from .env.example, with a new SECRET_KEY. An existing .env is not changed."""
    example = PROJECT / ".env.example"
    text = example.read_text(encoding="utf-8") if example.is_file() else env_example(settings_classes())
    create_env(PROJECT / ".env", with_first_values(text))
    say("Wrote .env with a new SECRET_KEY, for development. To change a setting, remove the # in front of it.")


@command.command()
def example() -> None:
    """Write .env.example from all settings."""
    write_text(PROJECT / ".env.example", env_example(settings_classes()))
    say("Wrote .env.example.")
