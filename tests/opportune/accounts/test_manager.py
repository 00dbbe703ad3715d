"""Hooks of a project's user manager, called by each type of change."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi_users import InvalidPasswordException, exceptions
from httpx2 import AsyncClient

from opportune.accounts import User, UserManager
from opportune.accounts.flows import registration
from opportune.accounts.schemas import Credentials, UserCreate, UserUpdate
from opportune.accounts.users import context
from opportune.accounts.users.context import user_manager
from opportune.accounts.users.errors import InvalidPasswordError
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD, make_user, signed_in_client
from tests.opportune.accounts.sent_emails import read_sent_emails, settings
from tests.opportune.stored_rows import read_one

__all__ = ["settings"]  # a fixture
EMAIL, NEW_PASSWORD = "new@example.com", "a much better password"
NEW_USER = {"email": EMAIL, "password": NEW_PASSWORD}


class RecordingManager(UserManager[User]):
    """Records the calls of its hooks."""

    hook_calls: list[tuple[Any, ...]] = []
    with_request: set[str] = set()

    def record_call(self, event: str, user: User, request: Request | None, *details: Any) -> None:
        self.hook_calls.append((event, user.email, *details))
        self.with_request |= {event} if request else set()

    async def validate_password(self, password: str, user: Any) -> None:
        await super().validate_password(password, user)
        if user.email.partition("@")[0] in password:
            raise InvalidPasswordException("Please leave your name out of it.")

    async def on_after_register(self, user: User, request: Request | None = None) -> None:
        assert user.id
        self.record_call("register", user, request)

    async def on_after_login(self, user: User, request: Request | None = None, response: Any = None) -> None:
        self.record_call("login", user, request)

    async def on_after_update(self, user: User, update_dict: dict[str, Any], request: Request | None = None) -> None:
        self.record_call("update", user, request, update_dict)

    async def on_after_verify(self, user: User, request: Request | None = None) -> None:
        self.record_call("verify", user, request)

    async def on_after_forgot_password(self, user: User, token: str, request: Request | None = None) -> None:
        self.record_call("forgot", user, request, token)

    async def on_after_reset_password(self, user: User, request: Request | None = None) -> None:
        self.record_call("reset", user, request)

    async def on_before_delete(self, user: User, request: Request | None = None) -> None:
        self.record_call("before_delete", user, request)

    async def on_after_delete(self, user: User, request: Request | None = None) -> None:
        self.record_call("after_delete", user, request)


@pytest.fixture(autouse=True)
def hook_calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    RecordingManager.hook_calls, RecordingManager.with_request = [], set()
    monkeypatch.setattr(context, "users_module", lambda _name: type("module", (), {"UserManager": RecordingManager}))
    return RecordingManager.hook_calls


@pytest.fixture
async def admin(app: FastAPI, hook_calls: list[Any]) -> AsyncIterator[AsyncClient]:
    superuser = await make_user(app.state.database, "root@example.com", is_superuser=True, is_staff=True)
    async with signed_in_client(app, superuser) as client:
        hook_calls.clear()
        yield client


async def test_registration_hook(client: AsyncClient, hook_calls: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration, "email_is_delivered", lambda _settings: False)
    assert (await client.post("/accounts/register", data=NEW_USER)).status_code == 303
    assert hook_calls == [("register", EMAIL), ("login", EMAIL)]
    assert RecordingManager.with_request == {"register", "login"}
    hook_calls.clear()
    zoe = {"email": "zoe@example.com", "password": NEW_PASSWORD}
    assert (await client.post("/api/v1/auth/register", json=zoe)).is_success
    assert hook_calls == [("register", "zoe@example.com")]


async def test_admin_changes_call_the_hooks(app: FastAPI, admin: AsyncClient, hook_calls: list[Any]) -> None:
    form = {**NEW_USER, "is_active": "y", "is_verified": "y", "save": "Save"}
    assert (await admin.post("/admin/user/create", data=form)).status_code == 303
    assert hook_calls == [("register", EMAIL), ("verify", EMAIL)]
    new_user = await read_one(app, User, email=EMAIL)
    hook_calls.clear()
    await admin.post(f"/admin/user/edit/{new_user.id}", data={"email": EMAIL, "is_verified": "y", "save": "Save"})
    assert hook_calls == [("update", EMAIL, {"is_active": False})]
    hook_calls.clear()
    await admin.post("/accounts/confirm", data={"current_password": PASSWORD})
    form = {"password": "another good one", "password_again": "another good one"}
    assert (await admin.post(f"/admin/user/password/{new_user.id}", data=form)).status_code == 303
    assert hook_calls == [("update", EMAIL, {"hashed_password": None})], "secret values are left out"
    hook_calls.clear()
    assert (await admin.post(f"/admin/user/delete?pks={new_user.id}", data={"confirmed": "yes"})).status_code == 303
    assert hook_calls == [("before_delete", EMAIL), ("after_delete", EMAIL)]


async def test_password_reset_calls_hooks(app: FastAPI, client: AsyncClient, user: User, hook_calls: list[Any]) -> None:
    hook_calls.clear()
    await client.post("/accounts/forgot-password", data={"email": user.email})
    assert await read_sent_emails(app) == [], "the hook of the project sends the e-mail"
    ((event, email, token),) = hook_calls
    assert (event, email) == ("forgot", user.email)
    hook_calls.clear()
    form = {"token": token, "password": NEW_PASSWORD}
    assert (await client.post("/accounts/reset-password", data=form)).status_code == 303
    assert [call[0] for call in hook_calls] == ["verify", "update", "reset"]


async def test_validate_password_is_used_everywhere(
    client: AsyncClient, user_client: AsyncClient, admin: AsyncClient, database: Database, user: User
) -> None:
    message = "Please leave your name out of it."
    assert message in (await client.post("/accounts/register", data={"email": EMAIL, "password": "my new one"})).text
    form = {"new_password": "this is ada", "current_password": PASSWORD}
    assert message in (await user_client.post("/accounts/password", data=form)).text
    assert message in (await admin.post("/admin/user/create", data={"email": EMAIL, "password": "my new one"})).text
    await admin.post("/accounts/confirm", data={"current_password": PASSWORD})
    form = {"password": "this is ada", "password_again": "this is ada"}
    assert message in (await admin.post(f"/admin/user/password/{user.id}", data=form)).text
    async with database.writer() as session:
        with pytest.raises(InvalidPasswordError, match="leave your name out"):
            await user_manager(session).change(user, password="this is ada")


async def test_manager_works_as_fastapi_users_manager(database: Database) -> None:
    async with database.writer() as session:
        manager = user_manager(session)
        new_user = await manager.create(UserCreate(email="Ada@Example.com", password=NEW_PASSWORD), safe=True)
        assert (await manager.get(new_user.id), await manager.get_by_email("ADA@example.com")) == (new_user, new_user)
        assert await manager.authenticate(Credentials(username="ada@example.com", password=NEW_PASSWORD)) is new_user
        changed = await manager.update(UserUpdate(password="one more of them"), new_user)
        credentials = Credentials(username="ada@example.com", password="one more of them")
        assert await manager.authenticate(credentials) is changed
        with pytest.raises(exceptions.UserNotExists):
            await manager.get(new_user.id + 1)
        with pytest.raises(InvalidPasswordException):
            await manager.create(UserCreate(email=EMAIL, password="password"))
        await manager.delete(new_user)
    async with database.writer() as session:
        await user_manager(session).create(UserCreate(email=EMAIL, password=NEW_PASSWORD))
        await session.rollback()
    async with database.writer() as session:
        assert not await user_manager(session).is_taken(EMAIL), "the change was rolled back"
        await user_manager(session).create(UserCreate(email=EMAIL, password=NEW_PASSWORD))
        with pytest.raises(exceptions.UserAlreadyExists):
            await user_manager(session).create(UserCreate(email=EMAIL.upper(), password=NEW_PASSWORD))


async def test_safe_changes_ignore_guarded_fields(database: Database) -> None:
    class Forged(UserCreate):
        is_superuser: bool = True
        is_staff: bool = True
        totp_secret: str = "x"

    async with database.writer() as session:
        forged = Forged(email=EMAIL, password=NEW_PASSWORD, is_superuser=True, is_staff=True, totp_secret="x")
        new_user = await user_manager(session).create(forged, safe=True)
        assert (new_user.is_superuser, new_user.is_staff, new_user.totp_secret) == (False, False, "")
        await user_manager(session).update(forged, new_user, safe=True)
        assert not new_user.is_superuser
        assert not new_user.is_staff
