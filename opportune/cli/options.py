"""Options that several commands share, and those that every command has."""

import sys
from typing import Annotated, Any, TypeAlias

import typer

from opportune.cli import output
from opportune.cli.registry import OPTIONS

NoInput = Annotated[bool, typer.Option("--no-input", "--yes", help="Ask no questions: confirm, and use defaults.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PASSWORD_HELP = "Prefer the variable, because process lists show options."
NEW_PASSWORD = typer.Option(envvar="NEW_PASSWORD", help=PASSWORD_HELP)
"""Password of any user."""
SUPERUSER_PASSWORD = typer.Option(envvar=["NEW_PASSWORD", "SUPERUSER_PASSWORD"], help=PASSWORD_HELP)
"""Password of a superuser. The second variable is set for `quickstart`, and is not the password of other users."""

Command: TypeAlias = Any
"""A command of Typer, which has no public name for the type."""


def confirm(action: str, question: str) -> None:
    """Abort unless the user confirms an action. Commands without `--yes` call it."""
    require_terminal(action)
    typer.confirm(question, abort=True)


def require_terminal(action: str, option: str = "--yes") -> None:
    """Check that the user can confirm an action. Otherwise, the error names the option to add."""
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"{action} needs a confirmation. Add {option}.")


def add_common_options(command: Command) -> None:
    """Add the options that the command and its subcommands do not define themselves."""
    subcommands = getattr(command, "commands", {})
    for declaration in (common_options,) if subcommands else (common_options, _unattended_options):
        app = typer.Typer(add_completion=False)
        app.command()(declaration)
        defined = {name for option in command.params for name in option.opts}
        command.params += [option for option in typer.main.get_command(app).params if defined.isdisjoint(option.opts)]
    for subcommand in subcommands.values():
        add_common_options(subcommand)


def common_options(
    _quiet: Annotated[
        bool, typer.Option("-q", "--quiet", callback=output.be_quiet, expose_value=False, help=OPTIONS["-q, --quiet"])
    ] = False,
    _verbose: Annotated[
        bool,
        typer.Option("-v", "--verbose", callback=output.be_verbose, expose_value=False, help=OPTIONS["-v, --verbose"]),
    ] = False,
) -> None:
    """Options of every command."""


def _unattended_options(
    _no_input: Annotated[
        bool, typer.Option("--no-input", "--yes", expose_value=False, help="Ask no questions; this command has none.")
    ] = False,
) -> None:
    """Options of commands that ask no questions, so that scripts may add them to every command."""
