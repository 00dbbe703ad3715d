"""The peer of bench/help.py: a Typer program with as many commands, and nothing else."""

import sys

import typer


def command(name: str = "", number: int = 1) -> None:
    """What every command here has: a line of help and two options."""


if __name__ == "__main__":
    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    for index in range(int(sys.argv.pop(1))):
        app.command(f"command{index}")(command)
    app()
