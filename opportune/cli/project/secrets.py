"""Make a SECRET_KEY, or put a newer one into .env."""

from typing import Annotated

import typer

from opportune.admin.operations.settings_table import displayed_settings
from opportune.cli.output import say
from opportune.cli.project.env_file import OLDER_KEYS, rotate_key
from opportune.cli.project.first_env import KEY, new_key
from opportune.config.project import PROJECT, installed_features
from opportune.config.settings import get_settings
from opportune.errors import OperatorError

command = typer.Typer()

ENDS = (
    "links in e-mails, addresses of files and trusted devices that the old key signed; and whoever has not used a code "
    "of an authenticator app since then sets it up again"
)


@command.command()
def generate() -> None:
    """Print a new key, fit for SECRET_KEY."""
    print(new_key())


@command.command()
def rotate(
    stolen: Annotated[bool, typer.Option("--stolen", help="Keep no older key: what they signed ends at once.")] = False,
) -> None:
    """Put a new SECRET_KEY into .env, and keep the old one there.

    What it signed still counts while it is in SECRET_KEY_FALLBACKS.
    """
    refuse_if_set_elsewhere()
    number = rotate_key(PROJECT / ".env", keep=not stolen)
    say(f"{KEY} in .env is new. It counts when the site and its workers have started again.")
    if stolen:
        say(f"Then end: {ENDS}. Sessions and API tokens go on; they do not depend on it.")
    else:
        say(
            f"Nothing ends yet: {OLDER_KEYS} has {number} older {'keys' if number > 1 else 'key'}. Empty it in a month;"
        )
        say(f"then end: {ENDS}.")


def refuse_if_set_elsewhere() -> None:
    """See to it that .env is where the key comes from.

    Raises:
        OperatorError: the environment or SECRETS_FROM has it, and wins.
    """

    sources = {row.name: row.source for row in displayed_settings(get_settings(), installed_features())}
    for name in (KEY, OLDER_KEYS):
        if sources[name] in ("environment", "SECRETS_FROM"):
            raise OperatorError(
                f"{name} comes from {sources[name]}, which wins over .env. There set {KEY} to a new one "
                f"(python3 oppman.py secrets generate), and {OLDER_KEYS} to the old one."
            )
