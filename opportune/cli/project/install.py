"""Install optional packages: for development, clouds, backups, telemetry, models of vendors, office files or AG-UI.

Their lock, such as requirements/aws.lock, is written into the project. Commit it: images and hosts install it.
"""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from opportune.cli.environment.locks import LOCKS_BY_NAME
from opportune.cli.environment.virtual_environment import VENV, add_lock, install_missing
from opportune.cli.output import say


def command(
    name: Annotated[
        Literal["dev", "aws", "azure", "gcp", "backup", "telemetry", "llm-vendors", "office", "ag-ui"],
        typer.Argument(
            help="dev (fastapi, pytest, ruff, mypy), a cloud of SECRETS_FROM, or what needs the packages.",
            show_default=False,
        ),
    ],
) -> None:
    lock = LOCKS_BY_NAME[name]
    if Path(sys.prefix).resolve() != VENV:
        add_lock(lock)
        say(f"Next: python3 -m pip install --no-deps --require-hashes -r {lock}")
    elif not install_missing([lock]):
        say(f"{lock} is installed.")
