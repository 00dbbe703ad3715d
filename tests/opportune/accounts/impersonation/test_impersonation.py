"""A superuser signs in as somebody, for a reason and a while, and goes back."""

import logging
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx import AsyncClient, Response
from sqlalchemy import select, update
from sqlmodel import col

from opportune.accounts import AccountCtx, ConfirmedUser, CurrentImpersonator, CurrentUser, dependencies, record_event
from opportune.accounts.events.service import event_words
from opportune.accounts.impersonation.service import (
    IMPERSONATION_LIFETIME,
    NOT_INACTIVE,
    NOT_SUPERUSERS,
    NOT_YOURSELF,
)
from opportune.accounts.models import AccountEvent, Session, User
from opportune.admin.models import AuditEntry
from opportune.db.database import Database
from opportune.db.models.model import utc_now
from opportune.testing.access import addresses, example
from opportune.testing.factories import PASSWORD, grant, make_user, signed_in_client
from tests.opportune.accounts.sent_emails import ME, settings, told

__all__ = ["settings"]  # a fixture

pytestmark = pytest.mark.database("sqlite")


BOSS, ADA = "boss@example.com", "ada@example.com"
REASON = "She asked why her list is empty"
END = "/accounts/impersonation/end"
BANNER = 'id="impersonation"'


@pytest.fixture
async def ada(database: Database) -> User:
    return await make_user(database, ADA)


@pytest.fixture
async def boss(app: FastAPI, database: Database) -> AsyncIterator[AsyncClient]:
    """The browser of a superuser who has just shown who they are."""
    user = await make_user(database, BOSS, is_superuser=True)
    async with signed_in_client(app, user) as client:
        await client.post("/accounts/confirm", data={"current_password": PASSWORD})
        yield client


async def impersonate(client: AsyncClient, user: User, reason: str = REASON, *, may_write: bool = False) -> Response:
    form = {"reason": reason, **({"may_write": "y"} if may_write else {})}
    return await client.post(f"/admin/user/impersonate/{user.id}", data=form)


async def who(client: AsyncClient) -> str:
    """The e-mail of who is signed in; nothing if nobody is."""
    answer = await client.get(ME)
    return str(answer.json().get("email", ""))


async def events(app: FastAPI, user: User) -> list[AccountEvent]:
    async with app.state.database.reader(fresh=True) as session:
        mine = select(AccountEvent).where(col(AccountEvent.user_id) == user.id).order_by(col(AccountEvent.id))
        return list(await session.scalars(mine))


async def test_a_superuser_is_somebody_else_and_goes_back(app: FastAPI, boss: AsyncClient, ada: User) -> None:
    assert "Sign in as …" in (await boss.get(f"/admin/user/details/{ada.id}")).text
    assert REASON not in (await boss.get(f"/admin/user/impersonate/{ada.id}")).text

    begun = await impersonate(boss, ada)

    assert (begun.status_code, begun.headers["location"], await who(boss)) == (303, "/", ADA)
    page = (await boss.get("/accounts/profile")).text
    assert BANNER in page
    assert "Back to my account" in page
    back = await boss.post(END)
    assert (back.status_code, back.headers["location"]) == (303, f"/admin/user/details/{ada.id}")
    assert await who(boss) == BOSS
    assert (await boss.get(f"/admin/user/details/{ada.id}")).status_code == 200
    assert BANNER not in (await boss.get("/accounts/profile")).text


async def test_the_person_the_admin_and_the_log_are_told_with_the_reason(
    app: FastAPI, boss: AsyncClient, ada: User, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await impersonate(boss, ada, f"  {REASON}\r\n<b>again</b> ")
    await boss.post(END)

    begun, ended = await events(app, ada)
    assert [event_words(each) for each in (begun, ended)] == [
        "A superuser signed in as you",
        "The superuser left your account",
    ]
    assert begun.actor_id == ended.actor_id is not None
    assert (begun.address, begun.agent, begun.details) == ("", "", {"reason": f"{REASON} <b>again</b>"})
    assert await told(app) == [(ADA, "A superuser signed in as you")]
    async with app.state.database.reader() as session:
        entry = (await session.scalars(select(AuditEntry))).one()
    assert (entry.actor, entry.action, entry.row_id, entry.title) == (BOSS, "sign in as", str(ada.id), ADA)
    history = (await boss.get(f"/admin/user/history/{ada.id}")).text
    assert "Sign in as" in history
    assert REASON in history
    assert f"signed in as user {ada.id}" in caplog.text
    assert BOSS not in caplog.text


async def test_it_asks_for_a_reason_and_who_it_is_and_going_back_without_having_left_does_nothing(
    app: FastAPI, boss: AsyncClient, client: AsyncClient, ada: User
) -> None:
    for browser in (boss, client):
        answer = await browser.post(END)
        assert (answer.status_code, answer.headers["location"]) == (303, "/accounts/login")
    assert await who(boss) == BOSS

    for wrong in ("   ", "x" * 201, "a \0 b"):
        answer = await impersonate(boss, ada, wrong)
        assert answer.status_code == 400, wrong
    assert await who(boss) == BOSS
    async with app.state.database.writer() as session:
        await session.execute(update(Session).values(confirmed_at=utc_now() - timedelta(hours=1)))
    for answer in (await boss.get(f"/admin/user/impersonate/{ada.id}"), await impersonate(boss, ada)):
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/accounts/confirm?next=")
    assert (await who(boss), await events(app, ada)) == (BOSS, [])


async def test_it_is_for_superusers_alone_and_of_nobody_who_is_one_inactive_or_not_there(
    app: FastAPI, client: AsyncClient, ada: User, database: Database, boss: AsyncClient
) -> None:
    assert (await impersonate(client, ada)).status_code == 303  # to the sign-in page
    support = await make_user(database, is_staff=True)
    await grant(database, support, "user", "*")
    async with signed_in_client(app, support) as staff:
        page = await staff.get(f"/admin/user/details/{ada.id}")
        assert (page.status_code, "Sign in as …" in page.text) == (200, False)
        assert (await impersonate(staff, ada)).status_code == 403
    assert await events(app, ada) == []

    other = await make_user(database, is_superuser=True)
    closed = await make_user(database, is_active=False)
    async with database.reader() as session:
        own = (await session.scalars(select(User).where(col(User.email) == BOSS))).one()
    for user, words in ((other, NOT_SUPERUSERS), (closed, NOT_INACTIVE), (own, NOT_YOURSELF)):
        answer = await impersonate(boss, user)
        assert (answer.status_code, words in answer.text) == (403, True)
        assert "Sign in as …" not in (await boss.get(f"/admin/user/details/{user.id}")).text
    for pk in ("x", 2**63):
        assert (await boss.post(f"/admin/user/impersonate/{pk}", data={"reason": REASON})).status_code == 404
    assert await who(boss) == BOSS


async def test_what_is_the_persons_alone_is_refused_in_words_and_the_admin_too(
    app: FastAPI, boss: AsyncClient, database: Database
) -> None:
    editor = await make_user(database, is_staff=True)
    await impersonate(boss, editor)
    open_to_all = ("login", "logout", "register", "verify", "forgot-password", "reset-password", "setup", "social/")
    of_programs = ("oauth/register", "oauth/token", "oauth/revoke")  # which have no session
    personal = [
        (method, path)
        for _, method, path in addresses(app)
        if path.startswith(dependencies.PERSONAL_PATHS)
        and path != END
        and not path.startswith("/api/v1/auth/")
        and not (path in dependencies.OPEN_PATHS and method == "GET")
        and not path.startswith(tuple(f"/accounts/{each}" for each in (*open_to_all, *of_programs, "left")))
    ]
    assert len(personal) > 30
    for method, path in personal:
        answer = await boss.request(method, example(path))
        assert (answer.status_code, dependencies.PERSONAL in answer.text) == (403, True), (method, path)
    admin = await boss.get("/admin/")
    assert (admin.status_code, BANNER in admin.text) == (403, True)
    assert "go back to your own account first" in admin.text
    for path in dependencies.OPEN_PATHS:
        assert (await boss.get(path)).status_code == 200
    assert await who(boss) == editor.email


async def test_it_ends_with_the_superusers_right_account_and_session(
    app: FastAPI, ada: User, database: Database
) -> None:
    async def demote(session_of: str, **values: object) -> None:
        async with database.writer() as session:
            user = (await session.scalars(select(User).where(col(User.email) == session_of))).one()
            user.sqlmodel_update(values)

    for number, values in enumerate(({"is_superuser": False}, {"is_active": False})):
        boss = await make_user(database, f"boss{number}@example.com", is_superuser=True)
        async with signed_in_client(app, boss) as client:
            await client.post("/accounts/confirm", data={"current_password": PASSWORD})
            await impersonate(client, ada)
            assert await who(client) == ADA
            await demote(boss.email, **values)
            assert await who(client) == ""
    async with database.reader(fresh=True) as session:
        assert (await session.scalars(select(Session))).all() == []


async def test_a_statement_that_takes_the_right_or_gives_it_to_the_person_ends_it_at_the_next_request(
    boss: AsyncClient, ada: User, database: Database
) -> None:
    await impersonate(boss, ada)
    for email, is_superuser in ((BOSS, False), (ADA, True)):
        async with database.writer() as session:
            changed = update(User).where(col(User.email) == email)
            await session.execute(changed.values(is_superuser=is_superuser))
        assert await who(boss) == ""
        async with database.writer() as session:
            await session.execute(changed.values(is_superuser=not is_superuser))
        assert await who(boss) == ADA


@pytest.mark.parametrize(("path", "sessions_left"), [("/accounts/logout", 0), (END, 1)])
async def test_a_copy_of_the_cookie_is_worth_nothing_when_it_has_ended_and_signing_out_ends_the_superusers_session_too(
    boss: AsyncClient, ada: User, database: Database, path: str, sessions_left: int
) -> None:
    begun = await impersonate(boss, ada)
    await boss.post(path)
    async with database.reader(fresh=True) as session:
        assert len((await session.scalars(select(Session))).all()) == sessions_left
    boss.cookies.clear()
    boss.cookies.set("session", begun.cookies["session"])
    assert await who(boss) == ""
    assert (await boss.post(END)).headers["location"] == "/accounts/login"


async def test_it_ends_with_its_hour_however_much_it_is_used(
    app: FastAPI, boss: AsyncClient, ada: User, database: Database
) -> None:
    await impersonate(boss, ada)
    async with database.writer() as session:
        row = (await session.scalars(select(Session).where(col(Session.user_id) == ada.id))).one()
        left = row.expires_at - utc_now()
        assert timedelta() < left <= IMPERSONATION_LIFETIME
        row.seen_at -= timedelta(minutes=10)
        before = row.expires_at
    assert await who(boss) == ADA
    await app.state.last_seen.close()
    async with database.writer() as session:
        row = (await session.scalars(select(Session).where(col(Session.user_id) == ada.id))).one()
        assert row.expires_at == before
        row.expires_at = utc_now()
    assert await who(boss) == ""
    assert (await boss.post(END)).headers["location"] == "/accounts/login"


async def test_the_person_sees_it_among_the_sessions_and_ends_it(app: FastAPI, boss: AsyncClient, ada: User) -> None:
    await impersonate(boss, ada)
    async with signed_in_client(app, ada) as hers:
        rows = (await hers.get(f"{ME}/sessions")).json()
        (row,) = (each for each in rows if each["is_impersonation"])
        assert (row["device"], row["address"]) == ("A superuser, signed in as you", "")
        assert "A superuser, signed in as you" in (await hers.get("/accounts/sessions")).text
        exported = (await hers.get(f"{ME}/export")).json()["accounts"]["sessions"]
        assert [each["id"] for each in exported] == [each["id"] for each in rows if not each["is_impersonation"]]
        assert (await hers.post(f"/accounts/sessions/{row['id']}/end")).status_code == 303
        assert (await events(app, ada))[-1].details == {"device": "A superuser, signed in as you"}
        assert (await who(hers), await who(boss)) == (ADA, "")


async def test_what_is_done_meanwhile_is_told_as_done_by_staff(app: FastAPI, boss: AsyncClient, ada: User) -> None:
    """By a feature that records what it does: account pages change nothing meanwhile."""
    seen: list[str] = []

    async def change(user: CurrentUser, impersonator: CurrentImpersonator, context: AccountCtx) -> None:
        record_event(context, user, "email_verified")
        seen.append(impersonator.email if impersonator else "")

    app.add_api_route("/cards", change, methods=["POST"])
    async with signed_in_client(app, ada) as hers:
        await hers.post("/cards")
    await impersonate(boss, ada, may_write=True)
    await boss.post("/cards")

    assert seen == ["", BOSS]
    mine, _begun, theirs = await events(app, ada)
    assert mine.actor_id is None
    assert (theirs.actor_id is not None, theirs.address) == (True, "")


async def test_nothing_is_confirmed_for_the_person_who_has_no_password_by_having_just_signed_in(
    app: FastAPI, boss: AsyncClient, database: Database
) -> None:
    async def pay(user: ConfirmedUser) -> None: ...

    app.add_api_route("/pay", pay, methods=["POST"])
    person = await make_user(database, hashed_password="")
    async with signed_in_client(app, person) as theirs:
        assert (await theirs.post("/pay")).status_code == 200
    await impersonate(boss, person, may_write=True)
    assert (await boss.post("/pay")).headers["location"].startswith("/accounts/confirm")
    assert dependencies.PERSONAL in (await boss.get("/accounts/confirm")).text
