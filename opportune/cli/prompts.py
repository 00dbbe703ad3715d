"""What commands ask about accounts. Where nobody can be asked, a missing answer is wrong usage: exit code 2."""

import sys
from collections.abc import Callable

import typer
from pydantic import ValidationError

from opportune.accounts import passwords
from opportune.accounts.schemas import EMAIL_ADAPTER


def ask_email(no_input: bool, option: str) -> str:
    _need_somebody(no_input, f"Say whose e-mail it is: {option}.")
    while True:
        answer: str = typer.prompt("E-mail")
        try:
            return EMAIL_ADAPTER.validate_python(answer)
        except ValidationError:
            print(f"{answer} is no e-mail address.")


def ask_password(email: str, no_input: bool, option: str, check: Callable[[], object]) -> str:
    """A password typed twice that keeps the rules; until then it asks again.

    The check comes first: whoever cannot have one is not asked to think of one.
    """
    _need_somebody(no_input, f"Give the password: {option}.")
    check()
    while True:
        password: str = typer.prompt("Password", hide_input=True)
        if reason := passwords.password_problem(password, email):
            print(reason)
        elif typer.prompt("The same again", hide_input=True) == password:
            return password
        else:
            print("These were two different passwords.")


def _need_somebody(no_input: bool, otherwise: str) -> None:
    if no_input or not sys.stdin.isatty():
        raise typer.BadParameter(otherwise)
