"""Questions of account commands. Without a terminal a missing value is wrong usage: exit code 2."""

import sys
from collections.abc import Awaitable, Callable

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.management import valid_email
from opportune.accounts.passwords.rules import password_problem
from opportune.cli.transaction import in_transaction
from opportune.config.settings import get_settings
from opportune.errors import OperatorError

EmailCheck = Callable[[AsyncSession, str], Awaitable[object]]
"""Refuses an e-mail by an OperatorError."""


def ask_email(no_input: bool, option: str) -> str:
    _need_somebody(no_input, f"Say whose e-mail it is: {option}.")
    while True:
        try:
            return valid_email(typer.prompt("E-mail"))
        except OperatorError as error:
            print(error)


def ask_password(email: str, no_input: bool, option: str, check: EmailCheck) -> str:
    """A new password for somebody.

    The check of the e-mail comes first: whoever cannot have one is not asked to think of one.
    """
    _need_somebody(no_input, f"Give the password: {option}.")
    in_transaction(lambda session: check(session, email))
    return type_password(email)


def type_password(email: str, question: str = "Password", default: str | None = None) -> str:
    """A password typed twice that keeps the rules; until then it asks again. The default is not asked for twice."""
    while True:
        password: str = typer.prompt(question, default, hide_input=True, show_default=False)
        if password == default:
            return password
        if reason := password_problem(password, email, get_settings()):
            print(reason)
        elif typer.prompt("The same again", hide_input=True) == password:
            return password
        else:
            print("These were two different passwords.")


def _need_somebody(no_input: bool, otherwise: str) -> None:
    if no_input or not sys.stdin.isatty():
        raise typer.BadParameter(otherwise)
