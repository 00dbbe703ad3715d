"""Create a user who may use the admin."""

from typing import Annotated

import typer

from opportune.accounts.management import check_new_email, create_superuser
from opportune.cli.accounts.prompts import ask_email, ask_password
from opportune.cli.options import SUPERUSER_PASSWORD, NoInput
from opportune.cli.output import say
from opportune.cli.transaction import in_transaction


def command(
    email: Annotated[str | None, typer.Option(envvar="SUPERUSER_EMAIL", help="E-mail address for signing in.")] = None,
    password: Annotated[str | None, SUPERUSER_PASSWORD] = None,
    no_input: NoInput = False,
) -> None:
    email = email or ask_email("--email or SUPERUSER_EMAIL", check_new_email, no_input=no_input)
    password = password or ask_password(email, check_new_email, no_input=no_input)
    user = in_transaction(lambda session: create_superuser(session, email, password))
    say(f"{user.email} may now use the admin.")
