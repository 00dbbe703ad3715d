"""Account events: their pages, API and e-mails, recorded by the framework and by projects."""

import re
from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts.cleanup import delete_expired
from opportune.accounts.events.kinds import KINDS, add_event_kinds
from opportune.accounts.events.service import describe_event, record_event
from opportune.accounts.models import AccountEvent, User
from opportune.accounts.users.context import AccountContext
from opportune.db import Database, utc_now
from opportune.feature import Accounts, Feature
from opportune.i18n import use_language
from opportune.testing.factories import PASSWORD, make_user, signed_in_client
from opportune.web.client import Client
from tests.opportune.accounts.conftest import new_client
from tests.opportune.accounts.sent_emails import (
    EMAIL,
    ME,
    NEW_PASSWORD,
    read_sent_emails,
    read_sent_subjects,
    settings,
    sign_in_to_api,
)
from tests.opportune.guides import code_blocks, read_guide, run_code
from tests.opportune.stored_rows import change, delete_row, read_all, read_one

__all__ = ["settings"]  # a fixture
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
EVENTS = "/accounts/events"


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


GUIDE = read_guide("account-events.md")
BLOCKS = code_blocks(GUIDE)


async def test_guide_records_events(app: FastAPI, user_client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "card_changed", KINDS["signed_in"])  # restored after the test
    for block in BLOCKS:
        names = run_code(block)
        app.include_router(names["router"])
        add_event_kinds([Feature("cards", accounts=Accounts(events=names.get("EVENTS", ())))])
    assert [(await user_client.post(path)).status_code for path in ("/cards", "/payments")] == [204, 204]
    assert describe_event(await read_one(app, AccountEvent)) == "Your card was changed: …4242"


def new_browser(app: FastAPI, agent: str = "Mozilla/5.0 (X11; Linux) Firefox/140.0") -> AsyncClient:
    return new_client(app, **{"User-Agent": agent})


async def sign_in(browser: AsyncClient, email: str = EMAIL, password: str = PASSWORD) -> int:
    response = await browser.post("/accounts/login", data={"email": email, "password": password})
    return response.status_code


async def read_event_kinds(app: FastAPI) -> list[str]:
    return [event.kind for event in await read_all(app, AccountEvent)]


async def record_events(app: FastAPI, user: User, number: int) -> None:
    async with app.state.database.writer() as session:
        for index in range(number):
            record_event(session, user, "token_revoked", name=f"number {index} <b>")


async def test_events_are_paginated_and_private(app: FastAPI, database: Database) -> None:
    ada, bob = await make_user(database, EMAIL), await make_user(database, "bob@example.com")
    await record_events(app, ada, 25)
    async with signed_in_client(app, ada) as browser, signed_in_client(app, bob) as bob_browser:
        newest_page, oldest_page = await browser.get(EVENTS), await browser.get(EVENTS, params={"page": 2})
        api = (await browser.get(f"{ME}/events", params={"size": 2})).json()
        empty = await bob_browser.get(EVENTS)
        invalid_page = await browser.get(EVENTS, params={"page": 0})
    numbers = [re.findall(r"number (\d+) &lt;b&gt;", page.text) for page in (newest_page, oldest_page)]
    assert numbers == [[*map(str, range(24, 4, -1))], [*map(str, range(4, -1, -1))]]
    assert (api["total"], api["pages"]) == (25, 13)
    newest = api["items"][0]
    assert (newest["kind"], newest["words"]) == ("token_revoked", "An API token has ended: number 24 <b>")
    assert (newest["by_staff"], newest["device"], newest["address"]) == (False, "", "")
    assert "Nothing yet." in empty.text
    assert invalid_page.status_code == 422


@pytest.mark.parametrize("stored", [EMAIL, EMAIL.title()])
async def test_new_browser_sends_an_email(app: FastAPI, client: AsyncClient, database: Database, stored: str) -> None:
    await make_user(database, stored)
    await make_user(database, "bob@example.com")
    async with new_browser(app) as laptop, new_browser(app) as phone:
        for browser in (laptop, laptop, phone, laptop):
            assert await sign_in(browser) == 303
        assert await sign_in(phone, "bob@example.com") == 303
        assert await sign_in(phone) == 303
    assert await read_event_kinds(app) == ["signed_in", "signed_in", "new_sign_in", *["signed_in"] * 3]
    ((address, subject),) = await read_sent_subjects(app)
    assert (address.lower(), subject) == (EMAIL, "New sign-in to your account")


async def test_first_sign_in_of_old_account_sends_email(app: FastAPI, client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL, created_at=utc_now() - timedelta(days=91))
    async with new_browser(app) as browser:
        await sign_in(browser)
    assert await read_event_kinds(app) == ["new_sign_in"]


async def test_program_is_recognised_by_agent_and_address(app: FastAPI, database: Database) -> None:
    await make_user(database, EMAIL)
    async with new_browser(app, "backup/1.0") as backup, new_browser(app, "curl/8.0") as curl:
        for client in (backup, backup, curl, curl):
            assert await sign_in_to_api(client) == 200
    assert await read_event_kinds(app) == ["signed_in", "signed_in", "new_sign_in", "signed_in"]


async def test_wrong_passwords_are_counted_in_one_event(app: FastAPI, database: Database) -> None:
    await make_user(database, EMAIL)
    async with new_browser(app) as browser:
        for email in (EMAIL, "nobody@example.com", EMAIL):
            assert await sign_in(browser, email, "wrong") == 422
        assert await sign_in_to_api(browser, "wrong") == 401
    assert await read_sent_subjects(app) == []  # runs the jobs
    event = await read_one(database, AccountEvent)
    assert describe_event(event) == "Wrong passwords were tried: 3"
    assert "Firefox" in event.agent


async def test_account_changes_are_recorded_without_secrets(app: FastAPI, database: Database) -> None:
    user = await make_user(database, EMAIL)
    proof = {"current_password": PASSWORD}
    async with signed_in_client(app, user) as browser, signed_in_client(app, user):
        sessions = (await browser.get(f"{ME}/sessions")).json()
        (session_id,) = (item["id"] for item in sessions if not item["is_current"])
        assert (await browser.post(f"/accounts/sessions/{session_id}/end")).status_code == 303
        assert (await browser.post("/accounts/sessions/end-others")).status_code == 303
        token = (await browser.post(f"{ME}/tokens", json={"name": "Backup", "days": 7, **proof})).json()
        assert (await browser.delete(f"{ME}/tokens/{token['id']}")).status_code == 204
        assert (await browser.delete(f"{ME}/tokens")).status_code == 204
        assert (await browser.get("/accounts/data/export")).status_code == 200
        exported = (await browser.get(f"{ME}/export")).json()["accounts"]["events"]
        changed = await browser.post("/accounts/password", data={**proof, "new_password": NEW_PASSWORD})
        assert changed.status_code == 303
        page = (await browser.get(EVENTS)).text
    kinds = ["session_ended", "sessions_ended", "token_created", "token_revoked", "tokens_revoked", "data_exported"]
    assert [item["kind"] for item in exported] == kinds
    assert await read_event_kinds(app) == [*kinds, "data_exported", "password_updated"]
    assert await read_sent_subjects(app) == [(EMAIL, "New API token: Backup"), (EMAIL, "Your password was changed")]
    for secret in (token["token"], PASSWORD, NEW_PASSWORD, user.hashed_password):
        assert secret not in page
        assert secret not in str(exported)


async def test_changes_by_staff_name_staff(app: FastAPI, superuser_client: AsyncClient, database: Database) -> None:
    user = await make_user(database, EMAIL, is_verified=True)
    edited = {"email": "new@example.com", "is_active": "y", "is_verified": "y", "is_staff": "y", "save": "Save"}
    password = {"password": NEW_PASSWORD, "password_again": NEW_PASSWORD}
    await superuser_client.post("/accounts/confirm", data={"current_password": PASSWORD})
    for path, data in (
        (f"edit/{user.id}", edited),
        (f"password/{user.id}", password),
        (f"action/sign-out?pks={user.id}", {"confirmed": "yes"}),
    ):
        response = await superuser_client.post(f"/admin/user/{path}", data=data)
        assert response.status_code in (302, 303), (path, response.text)
    events = await read_all(database, AccountEvent)
    new_email, new_password = "Your e-mail address was changed", "Your password was changed"
    descriptions = [describe_event(event) for event in events]
    assert descriptions == [new_email, "Staff changed your account: Staff", new_password, "Every device was signed out"]
    assert all(event.actor_id and not event.address for event in events)
    assert await read_sent_subjects(app) == [(EMAIL, new_email), ("new@example.com", new_password)]
    details = await superuser_client.get(f"/admin/user/details/{user.id}")
    assert "Staff changed your account: Staff" in details.text
    async with signed_in_client(app, await make_user(database, is_staff=True)) as staff:
        assert (await staff.get("/admin/account-event/list")).status_code == 403


def test_details_are_translated() -> None:
    details = {"changes": [["changed", "Team", "“X”"], "Groups", "…"]}
    with use_language("de"):
        text = describe_event(AccountEvent(user_id=1, kind="updated_by_superuser", details=details))
    assert text == "Ein Superuser, angemeldet als Sie: Team “X” geändert, Gruppen, …"


@pytest.mark.parametrize(
    ("kind", "details", "text"),
    [
        ("gone_kind", {}, "Gone kind"),
        ("passkey_deleted", {"label": "Key"}, "Passkey deleted"),
        (
            "updated_by_superuser",
            {"changes": [["lent", "Team", "“X”"]]},
            "A superuser, signed in as you, lent Team “X”",
        ),
        ("updated_by_superuser", {"changes": [["lent"]]}, "Updated by superuser"),
    ],
)
def test_event_of_another_release_is_described(kind: str, details: dict[str, object], text: str) -> None:
    assert describe_event(AccountEvent(user_id=1, kind=kind, details=details)) == text


@pytest.mark.parametrize(("days", "deleted_count"), [(0, 0), (90, 1)])
async def test_events_are_deleted(app: FastAPI, database: Database, user: User, days: int, deleted_count: int) -> None:
    await record_events(app, user, 2)
    oldest, _ = await read_all(database, AccountEvent)
    await change(database, oldest, created_at=utc_now() - timedelta(days=90))
    settings = app.state.settings.model_copy(update={"account_event_days": days})
    assert (await delete_expired(database, settings))["events"] == deleted_count
    assert len(await read_event_kinds(app)) == 2 - deleted_count
    await delete_row(database, user)
    assert await read_event_kinds(app) == []
