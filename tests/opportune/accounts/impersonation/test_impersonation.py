"""Start, limits and end of an impersonation."""

import logging
from contextlib import suppress
from datetime import timedelta

import pytest
from fastapi import Depends, FastAPI, HTTPException, Request
from httpx2 import AsyncClient
from sqlalchemy import update
from sqlmodel import col

from opportune.accounts import AccountCtx, ConfirmedUser, CurrentImpersonator, CurrentUser, record_event, request_rules
from opportune.accounts.dependencies import get_optional_user
from opportune.accounts.events.service import describe_event
from opportune.accounts.flows.impersonation import IMPERSONATION_LIFETIME, NOT_INACTIVE, NOT_SUPERUSERS, NOT_YOURSELF
from opportune.accounts.models import Session, User
from opportune.admin.models import AuditEntry
from opportune.db import Database, utc_now
from opportune.testing.access.addresses import example_path, list_addresses
from opportune.testing.factories import add_permission, make_user, signed_in_client
from tests.opportune.accounts.impersonation.conftest import ADA, BOSS, END, REASON, impersonate, read_events
from tests.opportune.accounts.sent_emails import ME, read_sent_subjects, settings
from tests.opportune.stored_rows import change, count, read_all, read_one, reload, set_all

__all__ = ["settings"]  # a fixture
BANNER = 'id="impersonation"'


async def get_current_email(client: AsyncClient) -> str:
    """E-mail of the signed-in user; empty for visitors."""
    response = await client.get(ME)
    return str(response.json().get("email", ""))


async def test_superuser_impersonates_and_returns(boss_client: AsyncClient, ada: User) -> None:
    assert "Sign in as …" in (await boss_client.get(f"/admin/user/details/{ada.id}")).text
    assert REASON not in (await boss_client.get(f"/admin/user/impersonate/{ada.id}")).text
    started = await impersonate(boss_client, ada)
    assert (started.status_code, started.headers["location"], await get_current_email(boss_client)) == (303, "/", ADA)
    page = (await boss_client.get("/accounts/profile")).text
    assert BANNER in page
    assert "Back to my account" in page
    returned = await boss_client.post(END)
    assert (returned.status_code, returned.headers["location"]) == (303, f"/admin/user/details/{ada.id}")
    assert await get_current_email(boss_client) == BOSS
    assert (await boss_client.get(f"/admin/user/details/{ada.id}")).status_code == 200
    assert BANNER not in (await boss_client.get("/accounts/profile")).text


async def test_start_is_recorded_for_user_admin_and_log(
    app: FastAPI, boss_client: AsyncClient, ada: User, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await impersonate(boss_client, ada, f"  {REASON}\r\n<b>again</b> ")
    await boss_client.post(END)
    started, end = await read_events(app.state.database, ada)
    descriptions = ["A superuser signed in as you", "The superuser left your account"]
    assert [describe_event(event) for event in (started, end)] == descriptions
    assert started.actor_id == end.actor_id is not None
    assert (started.address, started.agent, started.details) == ("", "", {"reason": f"{REASON} <b>again</b>"})
    assert await read_sent_subjects(app) == [(ADA, "A superuser signed in as you")]
    entry = await read_one(app, AuditEntry)
    assert (entry.actor, entry.action, entry.row_id, entry.title) == (BOSS, "sign in as", str(ada.id), ADA)
    history = (await boss_client.get(f"/admin/user/history/{ada.id}")).text
    assert "Sign in as" in history
    assert REASON in history
    assert f"signed in as user {ada.id}" in caplog.text
    assert BOSS not in caplog.text


async def test_start_needs_confirmation(app: FastAPI, boss_client: AsyncClient, client: AsyncClient, ada: User) -> None:
    for browser in (boss_client, client):
        response = await browser.post(END)
        assert (response.status_code, response.headers["location"]) == (303, "/accounts/login")
    assert await get_current_email(boss_client) == BOSS
    for invalid_reason in ("   ", "x" * 201, "a \0 b"):
        response = await impersonate(boss_client, ada, invalid_reason)
        assert response.status_code == 400, invalid_reason
    assert await get_current_email(boss_client) == BOSS
    await set_all(app, Session, confirmed_at=utc_now() - timedelta(hours=1))
    for response in (await boss_client.get(f"/admin/user/impersonate/{ada.id}"), await impersonate(boss_client, ada)):
        assert (response.status_code, response.headers["location"][:23]) == (303, "/accounts/confirm?next=")
    assert (await get_current_email(boss_client), await read_events(app.state.database, ada)) == (BOSS, [])


async def test_only_superusers_impersonate_active_users(
    app: FastAPI, client: AsyncClient, ada: User, database: Database, boss_client: AsyncClient
) -> None:
    assert (await impersonate(client, ada)).status_code == 303  # redirects to the sign-in page
    support = await make_user(database, is_staff=True)
    await add_permission(database, support, "user", "*")
    async with signed_in_client(app, support) as staff:
        page = await staff.get(f"/admin/user/details/{ada.id}")
        assert (page.status_code, "Sign in as …" in page.text) == (200, False)
        assert (await impersonate(staff, ada)).status_code == 403
    assert await read_events(app.state.database, ada) == []
    other_superuser = await make_user(database, is_superuser=True)
    inactive = await make_user(database, is_active=False)
    superuser = await read_one(database, User, email=BOSS)
    for user, message in ((other_superuser, NOT_SUPERUSERS), (inactive, NOT_INACTIVE), (superuser, NOT_YOURSELF)):
        response = await impersonate(boss_client, user)
        assert (response.status_code, message in response.text) == (403, True)
        assert "Sign in as …" not in (await boss_client.get(f"/admin/user/details/{user.id}")).text
    for pk in ("x", 2**63):
        assert (await boss_client.post(f"/admin/user/impersonate/{pk}", data={"reason": REASON})).status_code == 404
    assert await get_current_email(boss_client) == BOSS


async def test_impersonator_opens_no_personal_pages(app: FastAPI, boss_client: AsyncClient, database: Database) -> None:
    editor = await make_user(database, is_staff=True)
    await impersonate(boss_client, editor)
    public_pages = ("login", "logout", "register", "verify", "forgot-password", "reset-password", "setup", "social/")
    program_pages = ("oauth/register", "oauth/token", "oauth/revoke")  # programs have no session
    personal_routes = [
        (method, path)
        for _, method, path in list_addresses(app)
        if path.startswith(request_rules.PERSONAL_PATHS)
        and path != END
        and not path.startswith("/api/v1/auth/")
        and not (path in request_rules.IMPERSONATOR_PATHS and method == "GET")
        and not path.startswith(tuple(f"/accounts/{page}" for page in (*public_pages, *program_pages, "left")))
    ]
    assert len(personal_routes) > 30
    for method, path in personal_routes:
        response = await boss_client.request(method, example_path(path))
        assert (response.status_code, request_rules.OWNER_ONLY in response.text) == (403, True), (method, path)
    admin = await boss_client.get("/admin/")
    assert (admin.status_code, BANNER in admin.text) == (403, True)
    assert "Return to your own account first" in admin.text
    for path in request_rules.IMPERSONATOR_PATHS:
        assert (await boss_client.get(path)).status_code == 200
    assert await get_current_email(boss_client) == editor.email


async def test_impersonation_ends_with_the_superuser(boss_client: AsyncClient, ada: User, database: Database) -> None:
    await impersonate(boss_client, ada)
    await change(database, await read_one(database, User, email=BOSS), is_active=False)
    assert await get_current_email(boss_client) == ""
    assert await read_all(database, Session) == []


@pytest.mark.parametrize(("email", "is_superuser"), [(BOSS, False), (ADA, True)])
async def test_changed_rights_end_impersonation_at_the_next_request(
    boss_client: AsyncClient, ada: User, database: Database, email: str, *, is_superuser: bool
) -> None:
    await impersonate(boss_client, ada)
    async with database.writer() as session:  # by a statement, which ends no session
        await session.execute(update(User).where(col(User.email) == email).values(is_superuser=is_superuser))
    assert await get_current_email(boss_client) == ""


@pytest.mark.parametrize(("path", "sessions_left"), [("/accounts/logout", 0), (END, 1)])
async def test_ended_impersonation_cookie_is_worthless(
    boss_client: AsyncClient, ada: User, database: Database, path: str, sessions_left: int
) -> None:
    started = await impersonate(boss_client, ada)
    await boss_client.post(path)
    assert await count(database, Session) == sessions_left
    boss_client.cookies.clear()
    boss_client.cookies.set("session", started.cookies["session"])
    assert await get_current_email(boss_client) == ""
    assert (await boss_client.post(END)).headers["location"] == "/accounts/login"


async def test_impersonation_expires(app: FastAPI, boss_client: AsyncClient, ada: User, database: Database) -> None:
    await impersonate(boss_client, ada)
    row = await read_one(database, Session, user_id=ada.id)
    assert timedelta() < row.expires_at - utc_now() <= IMPERSONATION_LIFETIME
    await change(database, row, seen_at=row.seen_at - timedelta(minutes=10))
    assert await get_current_email(boss_client) == ADA
    await app.state.last_seen.close()
    assert (await reload(database, row)).expires_at == row.expires_at, "use does not extend it"
    await change(database, row, expires_at=utc_now())
    assert await get_current_email(boss_client) == ""
    assert (await boss_client.post(END)).headers["location"] == "/accounts/login"


async def test_user_sees_and_ends_the_impersonation(app: FastAPI, boss_client: AsyncClient, ada: User) -> None:
    await impersonate(boss_client, ada)
    async with signed_in_client(app, ada) as user_browser:
        rows = (await user_browser.get(f"{ME}/sessions")).json()
        (row,) = (item for item in rows if item["is_impersonation"])
        assert (row["device"], row["address"]) == ("A superuser, signed in as you", "")
        assert "A superuser, signed in as you" in (await user_browser.get("/accounts/sessions")).text
        exported = (await user_browser.get(f"{ME}/export")).json()["accounts"]["sessions"]
        assert [item["id"] for item in exported] == [item["id"] for item in rows if not item["is_impersonation"]]
        assert (await user_browser.post(f"/accounts/sessions/{row['id']}/end")).status_code == 303
        assert (await read_events(app.state.database, ada))[-1].details == {"device": "A superuser, signed in as you"}
        assert (await get_current_email(user_browser), await get_current_email(boss_client)) == (ADA, "")


async def test_changes_are_recorded_as_done_by_staff(app: FastAPI, boss_client: AsyncClient, ada: User) -> None:
    """Use the route of a feature, because account pages refuse impersonators."""
    impersonators: list[str] = []

    async def change(user: CurrentUser, impersonator: CurrentImpersonator, context: AccountCtx) -> None:
        record_event(context, user, "email_verified")
        impersonators.append(impersonator.email if impersonator else "")

    app.add_api_route("/cards", change, methods=["POST"])
    async with signed_in_client(app, ada) as user_browser:
        await user_browser.post("/cards")
    await impersonate(boss_client, ada, may_write=True)
    await boss_client.post("/cards")

    assert impersonators == ["", BOSS]
    user_event, _start, staff_event = await read_events(app.state.database, ada)
    assert user_event.actor_id is None
    assert (staff_event.actor_id is not None, staff_event.address) == (True, "")


async def test_impersonation_confirms_nothing(app: FastAPI, boss_client: AsyncClient, database: Database) -> None:
    async def pay(user: ConfirmedUser) -> None: ...

    app.add_api_route("/pay", pay, methods=["POST"])
    user = await make_user(database, hashed_password="")
    async with signed_in_client(app, user) as user_browser:
        assert (await user_browser.post("/pay")).status_code == 200
    await impersonate(boss_client, user, may_write=True)
    assert (await boss_client.post("/pay")).headers["location"].startswith("/accounts/confirm")
    assert request_rules.OWNER_ONLY in (await boss_client.get("/accounts/confirm")).text


async def test_caught_refusal_does_not_admit_impersonator(app: FastAPI, boss_client: AsyncClient, ada: User) -> None:
    async def greet(request: Request) -> None:
        with suppress(HTTPException):
            await get_optional_user(request)

    async def change(_user: CurrentUser) -> None: ...

    app.add_api_route("/cards", change, methods=["POST"], dependencies=[Depends(greet)])
    await impersonate(boss_client, ada)
    response = await boss_client.post("/cards")
    texts = [text in response.text for text in (request_rules.READ_ONLY, BANNER)]
    assert (response.status_code, texts) == (403, [True, True])
