"""Set a user's password.

The user is signed out everywhere.
"""

from typing import Annotated

import typer

from opportune.accounts.management import find_user, set_password
from opportune.cli.accounts.prompts import ask_email, ask_password
from opportune.cli.options import NEW_PASSWORD, NoInput
from opportune.cli.output import say
from opportune.cli.transaction import in_transaction


def command(
    email: Annotated[str | None, typer.Argument(help="E-mail address of the user.")] = None,
    password: Annotated[str | None, NEW_PASSWORD] = None,
    no_input: NoInput = False,
) -> None:
    email = email or ask_email("changepassword EMAIL", find_user, no_input=no_input)
    password = password or ask_password(email, find_user, no_input=no_input)
    user = in_transaction(lambda session: set_password(session, email, password))
    say(f"{user.email} has a new password and was signed out everywhere.")
