"""Options that several commands have."""

from typing import Annotated

import typer

NoInput = Annotated[
    bool, typer.Option("--no-input", "--yes", help="Ask nothing: confirm what is to be confirmed, else use defaults.")
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
NEW_PASSWORD = typer.Option(envvar="NEW_PASSWORD", help="Better in the environment: lists of processes show options.")
