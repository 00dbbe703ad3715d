import asyncio

import pytest
from httpx import AsyncClient

from opportune.cli import transaction
from opportune.cli.main import main
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.testing.factories import make_user

EMAIL = "ada@example.com"
NEW = "another good password"


@pytest.fixture(autouse=True)
def _configured(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "get_settings", lambda: settings)
    monkeypatch.delenv("NEW_PASSWORD", raising=False)


async def run(*arguments: str) -> int:
    return await asyncio.to_thread(main, ["changepassword", *arguments])


@pytest.mark.parametrize("by_environment", [True, False])
@pytest.mark.database("sqlite")
async def test_the_new_password_opens_the_account(
    client: AsyncClient,
    database: Database,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    by_environment: bool,
) -> None:
    await make_user(database, EMAIL)
    if by_environment:
        monkeypatch.setenv("NEW_PASSWORD", NEW)

    code = await run("ADA@example.com", *([] if by_environment else ["--password", NEW]))

    assert code == 0
    assert NEW not in capsys.readouterr().out
    answer = await client.post("/accounts/login", data={"email": EMAIL, "password": NEW})
    assert answer.status_code == 303


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["eve@example.com", "--password", NEW], 1, "Nobody has the e-mail eve@example.com."),
        ([EMAIL, "--password", EMAIL], 1, "This password is too close to your name, your e-mail address"),
        ([EMAIL, "--no-input"], 2, "NEW_PASSWORD"),
        (["--no-input", "--password", NEW], 2, "changepassword EMAIL"),
    ],
)
@pytest.mark.database("sqlite")
async def test_what_cannot_be_done_is_one_line(
    database: Database, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    await make_user(database, EMAIL)

    assert await run(*arguments) == code

    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert words in captured.err
