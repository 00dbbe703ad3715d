"""Questions of account commands. Without a terminal, missing values are wrong usage (exit code 2)."""

import sys
from collections.abc import Awaitable, Callable

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.management import EmailRefusedError
from opportune.accounts.passwords.rules import find_offline_problem
from opportune.cli.transaction import in_transaction
from opportune.config.settings import get_settings

EmailCheck = Callable[[AsyncSession, str], Awaitable[object]]
"""Raises EmailRefusedError if the command cannot be used with an e-mail address."""


def ask_email(option: str, check: EmailCheck, default: str | None = None, *, no_input: bool) -> str:
    """Ask for an e-mail address until the check accepts it."""
    _require_terminal(f"Enter the e-mail address: {option}.", no_input=no_input)
    while True:
        email: str = typer.prompt("E-mail", default)
        try:
            _check_email(email, check)
            return email
        except EmailRefusedError as error:
            print(error)


def ask_password(email: str, check: EmailCheck, *, no_input: bool) -> str:
    """Ask for a new password, after checking the e-mail address."""
    _require_terminal("Enter the password: NEW_PASSWORD or --password.", no_input=no_input)
    _check_email(email, check)
    return ask_new_password(email)


def ask_new_password(email: str, question: str = "Password", default: str | None = None) -> str:
    """Ask for a valid password twice, until both entries match. The default is accepted without repetition."""
    while True:
        password: str = typer.prompt(question, default, hide_input=True, show_default=False)
        if password == default:
            return password
        if reason := find_offline_problem(password, email, get_settings()):
            print(reason)
        elif typer.prompt("Repeat the password", hide_input=True) == password:
            return password
        else:
            print("You entered two different passwords. Try again.")


def _check_email(email: str, check: EmailCheck) -> None:
    in_transaction(lambda session: check(session, email))


def _require_terminal(message: str, *, no_input: bool) -> None:
    if no_input or not sys.stdin.isatty():
        raise typer.BadParameter(message)
