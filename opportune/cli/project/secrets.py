"""Generate a SECRET_KEY, or rotate the one in .env."""

from typing import Annotated

import typer

from opportune.admin.settings_table import list_displayed_settings
from opportune.cli.output import say
from opportune.cli.project.env_file import FALLBACK_KEYS, rotate_key
from opportune.cli.project.first_env import KEY, generate_key
from opportune.config.settings import get_settings
from opportune.errors import OperatorError
from opportune.plurals import pluralize
from opportune.project.installed import installed_features
from opportune.project.layout import PROJECT

command = typer.Typer()

REMOVAL_EFFECTS = (
    "links in e-mails, file links and trusted devices signed with the old key become invalid, and users who have "
    "not used their authenticator app in the meantime have to set it up again"
)


@command.command()
def generate() -> None:
    """Print a new value for SECRET_KEY."""
    print(generate_key())


@command.command()
def rotate(
    stolen: Annotated[
        bool, typer.Option("--stolen", help="Remove all older keys, so that their signatures become invalid.")
    ] = False,
) -> None:
    """Write a new SECRET_KEY to .env, and keep the old one.

    The old key moves to SECRET_KEY_FALLBACKS. Signatures with it are valid until you remove it there.
    """
    _refuse_overridden_key()
    number = rotate_key(PROJECT / ".env", keep=not stolen)
    say(f"Wrote a new {KEY} to .env. Restart the site and its workers to use it.")
    if stolen:
        say(f"After the restart, {REMOVAL_EFFECTS}. Sessions and API tokens do not depend on the key and stay valid.")
    else:
        say(f"{FALLBACK_KEYS} has {pluralize(number, 'older key')}. Remove them in about a month.")
        say(f"After that, {REMOVAL_EFFECTS}.")


def _refuse_overridden_key() -> None:
    """Check that the key comes from .env."""
    sources = {row.name: row.source for row in list_displayed_settings(get_settings(), installed_features())}
    for name in (KEY, FALLBACK_KEYS):
        if sources[name] in ("environment", "SECRETS_FROM"):
            raise OperatorError(
                f"{name} is set by {sources[name]}, which overrides .env. Set {KEY} there to a new key "
                f"(python3 oppman.py secrets generate), and {FALLBACK_KEYS} to the old one."
            )
