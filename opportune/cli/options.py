"""Options shared by several commands."""

from typing import Annotated

import typer

NoInput = Annotated[bool, typer.Option("--no-input", "--yes", help="Ask no questions: confirm, and use defaults.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PASSWORD_HELP = "Prefer the variable, because process lists show options."
NEW_PASSWORD = typer.Option(envvar="NEW_PASSWORD", help=PASSWORD_HELP)
"""Password of any user."""
SUPERUSER_PASSWORD = typer.Option(envvar=["NEW_PASSWORD", "SUPERUSER_PASSWORD"], help=PASSWORD_HELP)
"""Password of a superuser. The second variable is set for `quickstart`, and is not the password of other users."""
