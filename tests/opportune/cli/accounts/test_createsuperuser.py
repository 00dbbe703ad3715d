"""`createsuperuser`: options, environment variables and prompts."""

import getpass
import sys

import pytest
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


@pytest.mark.parametrize(
    ("options", "environ"),
    [
        ([], {"SUPERUSER_EMAIL": EMAIL, "NEW_PASSWORD": PASSWORD}),
        ([], {"SUPERUSER_EMAIL": EMAIL, "SUPERUSER_PASSWORD": PASSWORD}),
    ],
    ids=["NEW_PASSWORD", "SUPERUSER_PASSWORD"],
)
async def test_superuser_is_created(database: Database, run: Run, options: list[str], environ: dict[str, str]) -> None:
    outcome = await run("createsuperuser", *options, "--no-input", **environ)
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
