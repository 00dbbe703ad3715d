"""FastAPI Users' manager as a project writes it: its hooks run whichever way something happens."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response
from fastapi_users import InvalidPasswordException, exceptions
from httpx import AsyncClient
from sqlalchemy import select

from opportune.accounts import User, UserManager
from opportune.accounts.management import create_superuser, set_password
from opportune.accounts.registration import service as registration
from opportune.accounts.schemas import Credentials, UserCreate, UserUpdate
from opportune.accounts.setup.service import make_setup_link
from opportune.accounts.users import factory, manager
from opportune.accounts.users.errors import InvalidPasswordError
from opportune.accounts.users.factory import user_manager
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD, make_user, signed_in_client
from tests.opportune.accounts.sent_emails import sent_emails, settings

__all__ = ["settings"]  # a fixture
# Hooks of tables are tried on both kinds.
pytestmark = pytest.mark.database("sqlite")

EMAIL, NEW = "new@example.com", "a much better password"
NEW_USER = {"email": EMAIL, "password": NEW}


class OurManager(UserManager[User]):
    """Writes down what it is told."""

    told: list[tuple[Any, ...]] = []
    with_request: set[str] = set()

    def note(self, event: str, user: User, request: Request | None, *more: Any) -> None:
        self.told.append((event, user.email, *more))
        self.with_request |= {event} if request else set()

    async def validate_password(self, password: str, user: Any) -> None:
        await super().validate_password(password, user)
        if user.email.partition("@")[0] in password:
            raise InvalidPasswordException("Please leave your name out of it.")

    async def on_after_register(self, user: User, request: Request | None = None) -> None:
        assert user.id
        self.note("register", user, request)

    async def on_after_login(
        self, user: User, request: Request | None = None, response: Response | None = None
    ) -> None:
        self.note("login", user, request)

    async def on_after_update(self, user: User, update_dict: dict[str, Any], request: Request | None = None) -> None:
        self.note("update", user, request, update_dict)

    async def on_after_verify(self, user: User, request: Request | None = None) -> None:
        self.note("verify", user, request)

    async def on_after_forgot_password(self, user: User, token: str, request: Request | None = None) -> None:
        self.note("forgot", user, request, token)

    async def on_after_reset_password(self, user: User, request: Request | None = None) -> None:
        self.note("reset", user, request)

    async def on_before_delete(self, user: User, request: Request | None = None) -> None:
        self.note("leaving", user, request)

    async def on_after_delete(self, user: User, request: Request | None = None) -> None:
        self.note("left", user, request)


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the manager of the project is told."""
    OurManager.told, OurManager.with_request = [], set()
    monkeypatch.setattr(factory, "users_module", lambda _name: type("module", (), {"UserManager": OurManager}))
    return OurManager.told


@pytest.fixture
async def user(database: Database) -> User:
    return await make_user(database, "ada@example.com")


@pytest.fixture
async def ada(app: FastAPI, user: User) -> AsyncIterator[AsyncClient]:
    """Ada's browser."""
    async with signed_in_client(app, user) as client:
        yield client


@pytest.fixture
async def admin(app: FastAPI, told: list[Any]) -> AsyncIterator[AsyncClient]:
    root = await make_user(app.state.database, "root@example.com", is_superuser=True, is_staff=True)
    async with signed_in_client(app, root) as client:
        told.clear()
        yield client


async def test_who_registers_on_a_page_or_by_the_api_is_told_of(
    client: AsyncClient, told: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "email_is_delivered", lambda _settings: False)
    assert (await client.post("/accounts/register", data=NEW_USER)).status_code == 303
    assert told == [("register", EMAIL), ("login", EMAIL)]
    assert OurManager.with_request == {"register", "login"}
    told.clear()
    assert (await client.post("/api/v1/auth/register", json={"email": "zoe@example.com", "password": NEW})).is_success
    assert told == [("register", "zoe@example.com")]


async def test_who_signs_in_is_told_of(app: FastAPI, client: AsyncClient, user: User, told: list[Any]) -> None:
    told.clear()
    sent = {"username": user.email, "password": PASSWORD}
    assert (await client.post("/api/v1/auth/login", data=sent)).status_code == 200
    assert (await client.post("/api/v1/auth/login", data={**sent, "password": "wrong"})).status_code == 401
    assert (await client.post("/accounts/login", data={"email": user.email, "password": PASSWORD})).status_code == 303
    assert told == [("login", user.email)] * 2


async def test_the_admin_its_changes_and_deletions_are_told_of(
    app: FastAPI, admin: AsyncClient, told: list[Any]
) -> None:
    sent = {**NEW_USER, "is_active": "y", "is_verified": "y", "save": "Save"}
    assert (await admin.post("/admin/user/create", data=sent)).status_code == 303
    assert told == [("register", EMAIL), ("verify", EMAIL)]
    async with app.state.database.reader() as session:
        made = (await session.scalars(select(User).where(User.email == EMAIL))).one()  # type: ignore[arg-type]  # a column
    told.clear()
    await admin.post(f"/admin/user/edit/{made.id}", data={"email": EMAIL, "is_verified": "y", "save": "Save"})
    assert told == [("update", EMAIL, {"is_active": False})]
    told.clear()
    both = {"password": "another good one", "again": "another good one"}
    assert (await admin.post(f"/admin/user/password/{made.id}", data=both)).status_code == 303
    assert told == [("update", EMAIL, {"hashed_password": None})], "and not the password, nor its hash"
    told.clear()
    assert (await admin.post(f"/admin/user/delete?pks={made.id}", data={"confirmed": "yes"})).status_code == 303
    assert told == [("leaving", EMAIL), ("left", EMAIL)]


async def test_commands_and_the_link_of_the_first_superuser_are_told_of(
    app: FastAPI, client: AsyncClient, database: Database, told: list[Any]
) -> None:
    token = make_setup_link(app.state.settings).partition("token=")[2]
    assert (await client.post("/accounts/setup", data={**NEW_USER, "token": token})).status_code == 303
    assert told == [("register", EMAIL), ("verify", EMAIL), ("login", EMAIL)]
    told.clear()
    async with database.writer() as session:
        await create_superuser(session, "two@example.com", NEW)
        await set_password(session, EMAIL, "an even better password")
    assert [each[0] for each in told] == ["register", "verify", "update"]


async def test_forgetting_and_choosing_a_password_is_told_of(
    app: FastAPI, client: AsyncClient, user: User, told: list[Any]
) -> None:
    told.clear()
    await client.post("/accounts/forgot-password", data={"email": user.email})
    assert await sent_emails(app) == [], "whoever writes the hook sends what they like"
    ((event, email, token),) = told
    assert (event, email) == ("forgot", user.email)
    told.clear()
    assert (await client.post("/accounts/reset-password", data={"token": token, "password": NEW})).status_code == 303
    assert [each[0] for each in told] == ["verify", "update", "reset"]


async def test_ones_own_changes_are_told_of(ada: AsyncClient, user: User, told: list[Any]) -> None:
    told.clear()
    sent = {"new_password": NEW, "current_password": PASSWORD}
    assert (await ada.post("/accounts/password", data=sent)).status_code == 303
    assert told == [("update", user.email, {"hashed_password": None})], "that is no sign-in"
    assert OurManager.with_request == {"update"}
    told.clear()
    await ada.post("/accounts/data/delete", data={"email": user.email, "current_password": NEW})
    assert told == [("leaving", user.email), ("left", user.email)]


async def test_a_password_is_asked_of_the_project_everywhere(
    client: AsyncClient, ada: AsyncClient, admin: AsyncClient, database: Database, user: User
) -> None:
    words = "Please leave your name out of it."
    assert words in (await client.post("/accounts/register", data={"email": EMAIL, "password": "my new one"})).text
    sent = {"new_password": "this is ada", "current_password": PASSWORD}
    assert words in (await ada.post("/accounts/password", data=sent)).text
    assert words in (await admin.post("/admin/user/create", data={"email": EMAIL, "password": "my new one"})).text
    both = {"password": "this is ada", "again": "this is ada"}
    assert words in (await admin.post(f"/admin/user/password/{user.id}", data=both)).text
    async with database.writer() as session:
        with pytest.raises(InvalidPasswordError, match="leave your name out"):
            await user_manager(session).change(user, password="this is ada")


async def test_it_is_fastapi_users_manager(database: Database) -> None:
    async with database.writer() as session:
        ours = user_manager(session)
        made = await ours.create(UserCreate(email="Ada@Example.com", password=NEW), safe=True)
        assert (await ours.get(made.id), await ours.get_by_email("ADA@example.com")) == (made, made)
        assert await ours.authenticate(Credentials(username="ada@example.com", password=NEW)) is made
        changed = await ours.update(UserUpdate(password="one more of them"), made)
        assert await ours.authenticate(Credentials(username="ada@example.com", password="one more of them")) is changed
        with pytest.raises(exceptions.UserNotExists):
            await ours.get(made.id + 1)
        with pytest.raises(InvalidPasswordException):
            await ours.create(UserCreate(email=EMAIL, password="password"))
        await ours.delete(made)
    async with database.writer() as session:
        await user_manager(session).create(UserCreate(email=EMAIL, password=NEW))
        await session.rollback()
    async with database.writer() as session:
        assert not await user_manager(session).is_taken(EMAIL), "what is rolled back was never there"
        await user_manager(session).create(UserCreate(email=EMAIL, password=NEW))
        with pytest.raises(exceptions.UserAlreadyExists):
            await user_manager(session).create(UserCreate(email=EMAIL.upper(), password=NEW))


async def test_what_is_no_number_of_a_user_is_refused(database: Database) -> None:
    async with database.writer() as session:
        manager = user_manager(session)
        for value in ("", "x", "-1", "0", "1.0", "9" * 30, "²", None):
            with pytest.raises(exceptions.InvalidID):
                manager.parse_id(value)


async def test_nobody_gives_themselves_what_is_guarded(database: Database) -> None:
    class Forged(UserCreate):
        is_superuser: bool = True
        is_staff: bool = True
        totp_secret: str = "x"

    async with database.writer() as session:
        forged = Forged(email=EMAIL, password=NEW, is_superuser=True, is_staff=True, totp_secret="x")
        made = await user_manager(session).create(forged, safe=True)
        assert (made.is_superuser, made.is_staff, made.totp_secret) == (False, False, "")
        await user_manager(session).update(forged, made, safe=True)
        assert (made.is_superuser, made.is_staff) == (False, False)


def test_the_manager_of_the_framework_is_the_base() -> None:
    assert UserManager is manager.UserManager
