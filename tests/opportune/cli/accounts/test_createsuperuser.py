import asyncio
import getpass
import sys

import pytest
from sqlalchemy import select

from opportune.accounts.models import User
from opportune.cli import transaction
from opportune.cli.main import main
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD, make_user
from opportune.testing.plugin import settings_for

pytestmark = pytest.mark.database("sqlite")

EMAIL = "ada@example.com"
Outcome = tuple[int, str, str]


@pytest.fixture
def _configured(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "get_settings", lambda: settings)
    for name in ("SUPERUSER_EMAIL", "SUPERUSER_PASSWORD", "NEW_PASSWORD"):
        monkeypatch.delenv(name, raising=False)


async def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> Outcome:
    """Exit code, standard output and standard error."""
    code = await asyncio.to_thread(main, ["createsuperuser", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


async def users(database: Database) -> list[User]:
    async with database.reader() as session:
        return list(await session.scalars(select(User)))


def answer(monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
    """Sit at the terminal and type these passwords."""
    remaining = iter(answers)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(getpass, "getpass", lambda *_, **__: next(remaining))


@pytest.mark.usefixtures("_configured")
async def test_options_make_a_superuser(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = await run(capsys, "--email", "Ada@example.com", "--password", PASSWORD, "--no-input")

    assert (code, out, err) == (0, f"{EMAIL} may use the admin now.\n", "")
    assert [(user.email, user.is_superuser) for user in await users(database)] == [(EMAIL, True)]


@pytest.mark.usefixtures("_configured")
async def test_the_environment_makes_a_superuser(
    database: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPERUSER_EMAIL", EMAIL)
    monkeypatch.setenv("SUPERUSER_PASSWORD", PASSWORD)

    assert (await run(capsys, "--no-input"))[0] == 0
    assert [user.email for user in await users(database)] == [EMAIL]


@pytest.mark.usefixtures("_configured")
async def test_a_password_is_asked_for_twice_until_it_is_good(
    database: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, "qwerty123", PASSWORD, "a typing error", PASSWORD, PASSWORD)

    code, out, err = await run(capsys, "--email", EMAIL)

    assert code == 0
    assert "too easy to guess" in out
    assert "two different passwords" in out
    assert PASSWORD not in out + err
    assert [user.email for user in await users(database)] == [EMAIL]


@pytest.mark.usefixtures("_configured")
@pytest.mark.parametrize(
    ("email", "password", "words"),
    [
        ("ADA@example.com", PASSWORD, "has an account already"),
        ("nonsense", PASSWORD, "is no e-mail address"),
        ("eve@example.com", "Short!", "at least 8 characters"),
    ],
)
async def test_what_cannot_be_done_is_one_line(
    database: Database, capsys: pytest.CaptureFixture[str], email: str, password: str, words: str
) -> None:
    await make_user(database, EMAIL)

    code, out, err = await run(capsys, "--email", email, "--password", password)

    assert (code, out, err.count("\n")) == (1, "", 1)
    assert words in err
    assert password not in err
    assert len(await users(database)) == 1


@pytest.mark.usefixtures("_configured")
async def test_bad_email_is_refused_before_the_password(
    database: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_user(database, EMAIL)
    answer(monkeypatch)  # a question for a password would have none

    for arguments, words in (
        (("createsuperuser", "--email", "nobody"), "nobody is no e-mail address."),
        (("createsuperuser", "--email", "ADA@example.com"), "has an account already"),
        (("users", "add", EMAIL), "has an account already"),
        (("changepassword", "eve@example.com"), "Nobody has the e-mail eve@example.com."),
    ):
        assert await asyncio.to_thread(main, [*arguments]) == 1
        error = capsys.readouterr().err
        assert (words in error, error.count("\n")) == (True, 1), error


@pytest.mark.usefixtures("_configured")
async def test_an_e_mail_that_is_none_is_asked_for_again(
    database: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, PASSWORD, PASSWORD)
    typed = iter(["nobody", EMAIL])
    monkeypatch.setattr("typer._click.termui.visible_prompt_func", lambda *_: next(typed))

    code, out, _ = await run(capsys)

    assert (code, "nobody is no e-mail address." in out) == (0, True)
    assert [user.email for user in await users(database)] == [EMAIL]


@pytest.mark.parametrize("arguments", [[], ["--no-input"], ["--email", EMAIL], ["--password", PASSWORD]])
async def test_without_a_terminal_a_missing_answer_is_wrong_usage(
    capsys: pytest.CaptureFixture[str], arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)

    code, out, err = await run(capsys, *arguments)

    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "SUPERUSER_" in err


@pytest.mark.database("sqlite", "postgresql")
async def test_a_database_without_tables_is_named(
    empty_database_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "get_settings", lambda: settings_for(empty_database_url))

    code, _, err = await run(capsys, "--email", EMAIL, "--password", PASSWORD)

    assert (code, err.count("\n")) == (1, 1)
    assert "migrate" in err


async def test_unreachable_database(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_for("postgresql://ada:s3cret@127.0.0.1:1/none")
    monkeypatch.setattr(transaction, "get_settings", lambda: settings)

    code, _, err = await run(capsys, "--email", EMAIL, "--password", PASSWORD)

    assert (code, err.count("\n")) == (1, 1)
    assert "127.0.0.1:1" in err
    assert "s3cret" not in err
