"""What commands ask about accounts. Where nobody can be asked, a missing answer is wrong usage: exit code 2."""

import sys

import typer

from opportune.accounts import passwords


def ask_email(no_input: bool, option: str) -> str:
    _need_somebody(no_input, f"Say whose e-mail it is: {option}.")
    answer: str = typer.prompt("E-mail")
    return answer


def ask_password(email: str, no_input: bool, option: str) -> str:
    """A password typed twice that keeps the rules; until then it asks again."""
    _need_somebody(no_input, f"Give the password: {option}.")
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
