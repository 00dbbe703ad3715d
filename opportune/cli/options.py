"""Options shared by several commands."""

from typing import Annotated

import typer

NoInput = Annotated[bool, typer.Option("--no-input", "--yes", help="Ask no questions: confirm, and use defaults.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
NEW_PASSWORD = typer.Option(envvar="NEW_PASSWORD", help="Prefer the variable, because process lists show options.")
