"""Events of an account, recorded by the framework and by projects."""

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts.events.kinds import KINDS, add_event_kinds
from opportune.accounts.events.service import describe_event, record_event
from opportune.accounts.models import AccountEvent, User
from opportune.accounts.users.context import AccountContext
from opportune.db.database import Database
from opportune.errors import OperatorError
from opportune.feature import Accounts, Feature
from opportune.testing.factories import make_user
from opportune.web.client import Client
from tests.opportune.accounts.sent_emails import EMAIL, read_sent_emails, settings
from tests.opportune.accounts.stored_rows import read_all, read_one
from tests.opportune.guides import code_blocks, read_guide, run_code

__all__ = ["settings"]  # a fixture


FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def make_context(app: FastAPI, session: object) -> AccountContext:
    return AccountContext(session, app.state.settings, app.state.rate_limiter, Client("203.0.113.7", FIREFOX))  # type: ignore[arg-type]


async def test_event_is_stored_and_sent_with_client_and_advice(app: FastAPI, database: Database) -> None:
    user = await make_user(database, EMAIL)
    async with app.state.database.writer() as session:
        record_event(make_context(app, session), user, "token_created", name="Backup <b>")

    event = await read_one(database, AccountEvent)
    assert (event.user_id, describe_event(event)) == (user.id, "New API token: Backup <b>")
    assert (event.address, event.agent, event.actor_id) == ("203.0.113.7", FIREFOX, None)
    (email,) = await read_sent_emails(app)
    assert (email["To"], email["Subject"]) == (EMAIL, "New API token: Backup <b>")
    for kind in ("plain", "html"):
        body = email.get_body((kind,))
        assert body
        for text in ("203.0.113.7", "Firefox on Linux", EMAIL, "/accounts/forgot-password", "/accounts/sessions"):
            assert text in body.get_content(), (kind, text)
        assert "<b>" not in body.get_content()


async def test_event_by_staff_hides_their_client(app: FastAPI, database: Database) -> None:
    user, boss = await make_user(database, EMAIL), await make_user(database, "boss@example.com", is_superuser=True)
    async with app.state.database.writer() as session:
        record_event(make_context(app, session), user, "password_updated", by=boss)
    event = await read_one(database, AccountEvent)
    assert (event.actor_id, event.address, event.agent) == (boss.id, "", "")
    (email,) = await read_sent_emails(app)
    assert "203.0.113.7" not in str(email)
    assert "By: the operators of" in str(email)
    assert "boss" not in str(email)


@pytest.mark.parametrize(("kind", "error"), [("token_made", OperatorError), ("token_created", KeyError)])
async def test_unknown_kind_or_missing_detail_is_refused(
    database: Database, user: User, kind: str, error: type[Exception]
) -> None:
    async with database.writer() as session:
        with pytest.raises(error):
            record_event(session, user, kind)
    assert await read_all(database, AccountEvent) == []


async def test_event_of_a_removed_kind_has_a_text() -> None:
    assert describe_event(AccountEvent(user_id=1, kind="carrier_pigeon")) == "Carrier pigeon"


GUIDE = read_guide("account-events.md")


BLOCKS = code_blocks(GUIDE)


async def test_guide_routes_record_events(
    app: FastAPI, user_client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KINDS, "card_changed", KINDS["signed_in"])  # restored after the test
    for block in BLOCKS:
        names = run_code(block)
        app.include_router(names["router"])
        add_event_kinds([Feature("cards", accounts=Accounts(events=names.get("EVENTS", ())))])
    assert [(await user_client.post(path)).status_code for path in ("/cards", "/payments")] == [204, 204]
    event = await read_one(app.state.database, AccountEvent)
    assert describe_event(event) == "Your card was changed: …4242"
