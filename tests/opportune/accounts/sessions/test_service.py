from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI, Request
from httpx import ASGITransport, AsyncClient
from sqlalchemy import func, select, update
from sqlmodel import col

from opportune.accounts.dependencies import CurrentUser
from opportune.accounts.models import ApiToken, Session, User
from opportune.accounts.sessions import credentials
from opportune.accounts.sessions.cookies import confirm_session
from opportune.accounts.users.credentials import delete_all_sessions
from opportune.application import create_app
from opportune.config.settings import Settings, load_settings
from opportune.db.database import Database
from opportune.db.models.model import utc_now
from opportune.db.sessions.dependencies import WriteSession
from opportune.errors import SettingsError
from opportune.testing.factories import PASSWORD, make_token, make_user, sign_in, signed_in_client

# What differs between the databases is marked `on_both`.
pytestmark = pytest.mark.database("sqlite")

on_both = pytest.mark.database("sqlite", "postgresql")

PROFILE = "/accounts/profile"


@pytest.fixture
async def user(database: Database) -> User:
    return await make_user(database, "ada@example.com")


async def enter(client: AsyncClient, email: str = "ada@example.com", password: str = PASSWORD) -> str:
    """Sign in by the page; gives the Set-Cookie header."""
    answer = await client.post("/accounts/login", data={"email": email, "password": password})
    assert answer.status_code == 303, answer.text
    return answer.headers["set-cookie"]


async def count(database: Database) -> int:
    async with database.reader() as session:
        return await session.scalar(select(func.count()).select_from(Session)) or 0


@pytest.mark.usefixtures("user")
async def test_the_cookie_is_for_this_site_and_no_script_and_the_database_does_not_know_its_token(
    client: AsyncClient, database: Database
) -> None:
    cookie = await enter(client)

    name, _, attributes = cookie.partition("=")
    assert name == "session"
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(attributes.split("; "))
    assert "Domain" not in cookie
    assert "Max-Age" not in attributes.partition(", ")[0]  # the browser forgets it when it is closed

    await enter(client)

    async with database.reader() as session:
        stored = (await session.scalars(select(Session))).one()
    assert client.cookies["session"] not in stored.model_dump_json()
    assert stored.agent.startswith("python-httpx")


@pytest.mark.usefixtures("user")
async def test_in_production_and_with_runserver_https_the_cookie_needs_tls(settings: Settings) -> None:
    for name, value in (("environment", "production"), ("local_https", True)):
        app = create_app(settings.model_copy(update={name: value}))
        async with (
            app.router.lifespan_context(app),
            AsyncClient(transport=ASGITransport(app), base_url="https://testserver") as client,
        ):
            cookie = await enter(client)
            inside = await client.get(PROFILE)

        assert cookie.startswith("__Host-session=")
        assert "Secure" in cookie.split("; ")
        assert inside.status_code == 200


@pytest.mark.usefixtures("user")
async def test_an_invented_token_is_never_adopted(client: AsyncClient) -> None:
    client.cookies.set("session", "invented")
    await enter(client)

    client.cookies.clear()
    client.cookies.set("session", "invented")
    assert (await client.get(PROFILE)).status_code == 303


async def test_signing_in_again_ends_the_browsers_old_session(
    app: FastAPI, client: AsyncClient, user: User, database: Database
) -> None:
    await sign_in(client, app, user)
    old = client.cookies["session"]
    client.cookies.clear()
    client.cookies.set("session", old, domain="testserver.local", path="/")

    await enter(client)

    assert client.cookies["session"] != old
    assert await count(database) == 1


async def test_signing_out_ends_the_session_for_copies_of_the_cookie_too_and_no_other_browsers(
    app: FastAPI, user: User, database: Database
) -> None:
    async with signed_in_client(app, user) as client:
        copy = dict(client.cookies)
        answer = await client.post("/accounts/logout")
        assert answer.status_code == 303
        assert "Max-Age=0" in answer.headers["set-cookie"]

        client.cookies.clear()
        assert (await client.get(PROFILE, headers={"Cookie": f"session={copy['session']}"})).status_code == 303
    assert await count(database) == 0

    async with signed_in_client(app, user) as one, signed_in_client(app, user) as other:
        await one.post("/accounts/logout")

        assert (await other.get(PROFILE)).status_code == 200


async def test_neither_a_link_nor_another_site_signs_anybody_in_or_out(app: FastAPI, user: User) -> None:
    async with signed_in_client(app, user) as client:
        assert (await client.get("/accounts/logout")).status_code == 405
        assert (await client.get(PROFILE)).status_code == 200

    foreign = {"Origin": "https://evil.example"}
    async with signed_in_client(app, user) as client:
        assert (await client.post("/accounts/logout", headers=foreign)).status_code == 403
        data = {"email": user.email, "password": PASSWORD}
        assert (await client.post("/accounts/login", headers=foreign, data=data)).status_code == 403
        assert (await client.get(PROFILE)).status_code == 200


async def test_an_expired_session_is_over_and_swept_out_at_the_next_sign_in(
    app: FastAPI, user: User, client: AsyncClient, database: Database
) -> None:
    async with signed_in_client(app, user) as expired:
        async with database.writer() as session:
            await session.execute(update(Session).values(expires_at=utc_now() - timedelta(seconds=1)))
        assert (await expired.get(PROFILE)).status_code == 303

    await enter(client)

    assert await count(database) == 1


async def test_what_was_given_out_for_rights_or_a_password_ends_with_them(
    app: FastAPI, client: AsyncClient, database: Database
) -> None:
    changes: list[tuple[dict[str, object], int]] = [
        ({"is_staff": True}, 303),
        ({"is_superuser": True}, 303),
        ({"is_active": False}, 303),
        ({"hashed_password": "x"}, 303),
        ({"is_verified": True}, 200),
    ]
    for change, status in changes:
        user = await make_user(database)
        token = await make_token(database, user)
        async with signed_in_client(app, user) as browser:
            async with database.writer() as session:
                session.add(user)
                for name, value in change.items():
                    setattr(user, name, value)
            async with database.writer() as session:  # back again, by a statement that ends nothing
                await session.execute(update(User).values(is_active=True))

            assert (await browser.get(PROFILE)).status_code == status, change
            answer = await client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == (200 if status == 200 else 401), change


@pytest.mark.usefixtures("user")
async def test_who_asks_to_be_remembered_keeps_the_cookie_for_a_month(client: AsyncClient, database: Database) -> None:
    data = {"email": "ada@example.com", "password": PASSWORD, "remember": "true"}
    answer = await client.post("/accounts/login", data=data)

    assert "Max-Age=2592000" in answer.headers["set-cookie"].partition(", ")[0]
    async with database.reader() as session:
        assert (await session.scalars(select(Session))).one().is_remembered


async def test_a_session_that_may_do_more_has_another_token(app: FastAPI, user: User, database: Database) -> None:
    @app.post("/confirm")
    async def confirm(request: Request, _user: CurrentUser, session: WriteSession) -> None:
        await confirm_session(session, request.state.session, request)

    async with signed_in_client(app, user) as client:
        old = client.cookies["session"]
        answer = await client.post("/confirm")
        new = answer.headers["set-cookie"].partition(";")[0]
        client.cookies.clear()

        assert (await client.get(PROFILE, headers={"Cookie": f"session={old}"})).status_code == 303
        assert (await client.get(PROFILE, headers={"Cookie": new})).status_code == 200
    async with database.reader() as session:
        assert (await session.scalars(select(Session))).one().confirmed_at


async def test_signing_out_everywhere_ends_browsers_and_programs(
    app: FastAPI, client: AsyncClient, user: User, database: Database
) -> None:
    token = await make_token(database, user)
    async with signed_in_client(app, user) as here, signed_in_client(app, user) as there:
        async with database.writer() as session:
            await delete_all_sessions(session, user)

        assert (await here.get(PROFILE)).status_code == 303
        assert (await there.get(PROFILE)).status_code == 303
    answer = await client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401


@pytest.mark.parametrize("kind", [Session, ApiToken])
async def test_of_very_many_the_first_to_end_goes(
    database: Database, user: User, monkeypatch: pytest.MonkeyPatch, kind: type[Session | ApiToken]
) -> None:
    monkeypatch.setattr(credentials, "MAX_CREDENTIALS_PER_USER", 3)
    other = await make_user(database)
    ends = [utc_now() + timedelta(hours=hours) for hours in (4, 1, 3, 2)]
    fields: dict[str, Any] = {"name": "a program", "scopes": "*"} if kind is ApiToken else {}
    async with database.writer() as session:
        for number, end in enumerate(ends):
            session.add(kind(token_hash=str(number), user_id=user.id, expires_at=end, **fields))
        session.add(kind(token_hash="another's", user_id=other.id, expires_at=ends[1], **fields))
    async with database.writer() as session:
        await credentials.prune(session, user, kind)

    async with database.reader() as session:
        left = await session.scalars(select(col(kind.token_hash)).order_by(col(kind.id)))
        assert left.all() == ["0", "2", "another's"]


async def test_a_site_says_how_long_its_sessions_last(app: FastAPI, user: User, database: Database) -> None:
    app.state.settings = app.state.settings.model_copy(update={"session_days": 90, "session_idle_hours": 2})
    async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client:
        data = {"email": user.email, "password": PASSWORD}
        remembered = await client.post("/accounts/login", data={**data, "remember": "true"})
        client.cookies.clear()
        await client.post("/accounts/login", data=data)

    assert f"Max-Age={90 * 24 * 60 * 60}" in remembered.headers["set-cookie"]
    async with database.reader() as session:
        rows = await session.scalars(select(Session).order_by(col(Session.id)))
        lasting = [row.expires_at - row.created_at for row in rows]
    for found, expected in zip(lasting, (timedelta(days=90), timedelta(hours=2)), strict=True):
        assert abs(found - expected) < timedelta(minutes=1)


@pytest.mark.parametrize("name", ["SESSION_DAYS", "SESSION_IDLE_HOURS"])
def test_a_session_of_no_time_is_refused_in_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "0")
    with pytest.raises(SettingsError, match=f"^{name}: Input should be greater than or equal to 1$"):
        load_settings()
