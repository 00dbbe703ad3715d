"""`createsuperuser` and `changepassword`: options, environment variables, prompts and refused arguments."""

import getpass
import sys

import pytest
import typer
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlmodel import col

from opportune.accounts.models import User
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD, make_user
from tests.opportune.cli.accounts.conftest import Run
from tests.opportune.stored_rows import read_all

EMAIL = "ada@example.com"


def type_passwords(monkeypatch: pytest.MonkeyPatch, *passwords: str) -> None:
    """Simulate a terminal at which the user types these passwords."""
    remaining = iter(passwords)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(getpass, "getpass", lambda *_, **__: next(remaining))


@pytest.mark.parametrize("variable", ["NEW_PASSWORD", "SUPERUSER_PASSWORD"])
async def test_superuser_is_created(database: Database, run: Run, variable: str) -> None:
    outcome = await run("createsuperuser", "--no-input", **{"SUPERUSER_EMAIL": EMAIL, variable: PASSWORD})
    assert outcome == (0, f"{EMAIL} may now use the admin.\n", "")
    assert [(user.email, user.is_superuser) for user in await read_all(database, select(User))] == [(EMAIL, True)]


async def test_prompt_repeats_until_valid(database: Database, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    type_passwords(monkeypatch, "qwerty123", PASSWORD, "a typing error", PASSWORD, PASSWORD)
    code, out, err = await run("createsuperuser", "--email", EMAIL)
    assert code == 0
    assert "too easy to guess" in out
    assert "different passwords" in out
    assert PASSWORD not in out + err
    assert await read_all(database, select(col(User.email))) == [EMAIL]


async def test_email_is_asked_until_accepted(database: Database, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    await make_user(database, "bob@example.com")
    type_passwords(monkeypatch)
    answers = iter(["nobody", "bob@example.com", EMAIL, PASSWORD, PASSWORD])
    monkeypatch.setattr(typer, "prompt", lambda *_, **__: next(answers))
    code, out, _err = await run("createsuperuser")
    assert (code, "not a valid" in out, "already has an account" in out) == (0, True, True)


async def test_short_password_is_refused_and_not_shown(database: Database, run: Run) -> None:
    line = (await run("createsuperuser", "--email", EMAIL, "--password", "Short!")).line()
    assert "at least 8 characters" in line
    assert "Short!" not in line
    assert await read_all(database, select(User)) == []


async def test_email_is_refused_before_password(database: Database, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    await make_user(database, EMAIL)
    type_passwords(monkeypatch)  # asking for a password would fail
    for arguments, message in (
        (("createsuperuser", "--email", "nobody"), "nobody is not a valid e-mail address."),
        (("createsuperuser", "--email", "ADA@example.com"), "already has an account"),
        (("users", "add", EMAIL), "already has an account"),
        (("changepassword", "eve@example.com"), "There is no user with the e-mail eve@example.com."),
    ):
        assert message in (await run(*arguments)).line()


NEW_PASSWORD = "another good password"


@pytest.mark.parametrize(
    ("options", "environ"), [(["--password", NEW_PASSWORD], {}), ([], {"NEW_PASSWORD": NEW_PASSWORD})]
)
async def test_new_password_signs_in(
    client: AsyncClient, database: Database, run: Run, options: list[str], environ: dict[str, str]
) -> None:
    await make_user(database, EMAIL)
    outcome = await run("changepassword", "ADA@example.com", *options, **environ)
    assert outcome.code == 0
    assert NEW_PASSWORD not in outcome.out
    assert (await client.post("/accounts/login", data={"email": EMAIL, "password": NEW_PASSWORD})).status_code == 303


async def test_new_password_ends_all_sessions(user: User, user_client: AsyncClient, run: Run) -> None:
    assert (await user_client.get("/accounts/profile")).status_code == 200
    await run("changepassword", user.email, "--password", NEW_PASSWORD)
    assert (await user_client.get("/accounts/profile")).status_code == 303


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([EMAIL, "--password", EMAIL], 1, "This password is too close to your name, your e-mail address"),
        (["eve@example.com", "--password", NEW_PASSWORD], 1, "There is no user with the e-mail eve@example.com."),
        ([EMAIL, "--no-input"], 2, "NEW_PASSWORD"),
        (["--no-input", "--password", NEW_PASSWORD], 2, "changepassword EMAIL"),
    ],
)
async def test_refused_arguments(database: Database, run: Run, arguments: list[str], code: int, message: str) -> None:
    await make_user(database, EMAIL)
    assert message in (await run("changepassword", *arguments)).line(code)
