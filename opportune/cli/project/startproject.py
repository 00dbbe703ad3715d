"""Create a project.

It is created from this clone of the starter. `oppman.py` calls it directly, without Typer.
"""

from typing import Annotated

import typer

from opportune.cli.project.new_project.command_line import main

CONTEXT_SETTINGS = {"ignore_unknown_options": True, "help_option_names": []}


def command(
    arguments: Annotated[list[str] | None, typer.Argument(metavar="NAME [DIR]", show_default=False)] = None,
) -> None:
    raise typer.Exit(main(arguments or []))
