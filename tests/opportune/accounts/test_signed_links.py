"""Signed links in e-mails: their purpose, their lifetime, and the changes that end them."""

from datetime import timedelta

import pytest

from opportune.accounts.emails import signed_links
from opportune.accounts.models import User
from opportune.config.settings import Settings
from opportune.config.signing import signer
from opportune.db.database import Database
from opportune.project.layout import PROJECT
from tests.opportune.accounts.stored_rows import set_all


async def read_email(database: Database, settings: Settings, token: str, purpose: str = "reset") -> str | None:
    async with database.reader() as session:
        result = await signed_links.read_link_token(session, settings, purpose, token)
    return result and result[0].email


async def test_link_contains_user_and_data(database: Database, settings: Settings, user: User) -> None:
    token = signed_links.make_link_token(settings, "change-email", user, email="new@example.com")
    async with database.reader() as session:
        result = await signed_links.read_link_token(session, settings, "change-email", token)
    assert result
    assert (result[0].id, result[1]) == (user.id, {"email": "new@example.com"})
    assert user.hashed_password not in token


async def test_link_is_valid_for_one_purpose(database: Database, settings: Settings, user: User) -> None:
    token = signed_links.make_link_token(settings, "verify", user)
    assert await read_email(database, settings, token, "verify") == user.email
    assert await read_email(database, settings, token, "reset") is None


@pytest.mark.parametrize("changes", [{"hashed_password": "x"}, {"email": "new@example.com"}, {"is_active": False}])
async def test_link_ends_with_its_change(
    database: Database, settings: Settings, user: User, changes: dict[str, object]
) -> None:
    token = signed_links.make_link_token(settings, "reset", user)
    assert await read_email(database, settings, token) == user.email
    await set_all(database, User, **changes)
    assert await read_email(database, settings, token) is None


async def test_link_expires(
    database: Database, settings: Settings, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = signed_links.make_link_token(settings, "reset", user)
    assert signed_links.LIFETIMES["reset"] <= timedelta(hours=1)
    monkeypatch.setitem(signed_links.LIFETIMES, "reset", timedelta(seconds=-1))
    assert await read_email(database, settings, token) is None


async def test_invalid_text_is_no_link(database: Database, settings: Settings) -> None:
    for token in ("", "x", "a.b.c", "\0", "ü", "x" * 5000):
        assert await read_email(database, settings, token) is None, token


async def test_link_of_a_missing_user_is_invalid(database: Database, settings: Settings) -> None:
    for number in (0, 77, 2**64):
        token = signer(settings, "accounts: reset").dumps([number, "", {}])
        assert await read_email(database, settings, token) is None


@pytest.mark.parametrize(
    ("purpose", "templates"),
    [("verify", ("verify", "register")), ("change-email", ("email_change",)), ("reset", ("reset",))],
)
def test_email_mentions_the_lifetime_of_its_link(purpose: str, templates: tuple[str, ...]) -> None:
    text = {timedelta(hours=1): "within an hour", timedelta(days=3): "within three days"}[
        signed_links.LIFETIMES[purpose]
    ]
    for file in (f"{name}.{subtype}" for name in templates for subtype in ("txt", "html")):
        assert text in (PROJECT / "opportune/templates/accounts/mail" / file).read_text(encoding="utf-8").lower()
