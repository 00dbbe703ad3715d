"""The option with which a command asks nothing, under its two names."""

from typing import Annotated

import typer

NoInput = Annotated[
    bool, typer.Option("--no-input", "--yes", help="Ask nothing: confirm what is to be confirmed, else use defaults.")
]
