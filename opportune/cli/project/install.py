"""Install optional packages: for development, clouds, backups, telemetry, models of vendors, office files or AG-UI.

Their lock, such as requirements/aws.lock, is written into the project. Commit it: images and hosts install it.
"""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from opportune.cli.environment.entry import VENV, add_lock, install, is_outdated
from opportune.cli.environment.installation import InstallError
from opportune.cli.environment.locks import LOCKS_BY_NAME
from opportune.cli.output import say
from opportune.errors import OperatorError


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
    try:
        add_lock(lock)
        if Path(sys.prefix).resolve() != VENV:
            say(f"Next: python3 -m pip install --no-deps --require-hashes -r {lock}")
        elif is_outdated(lock):
            install(lock)
        else:
            say(f"{lock} is installed.")
    except InstallError as error:
        raise OperatorError(str(error)) from None
    except OSError as error:
        raise OperatorError(f"{lock} cannot be installed: {error.strerror or error}.") from None
