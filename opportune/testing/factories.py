"""Users and signed-in clients for tests, made without the pages."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from opportune.accounts.models import Group, GroupPermission, Membership, User
from opportune.accounts.passwords import hashing
from opportune.accounts.permissions import refuse_renamed_action
from opportune.accounts.sessions.cookies import cookie_name
from opportune.accounts.sessions.service import create_session
from opportune.accounts.tokens.scopes import ALL_SCOPES
from opportune.accounts.tokens.service import issue_access_token
from opportune.db.database import Database

if TYPE_CHECKING:  # only browser tests need it
    from playwright.async_api import Page

PASSWORD = "correct horse battery"

_numbers = count(1)


async def make_user(database: Database, email: str = "", password: str = PASSWORD, **fields: Any) -> User:
    """Store a user.

    Args:
        database: The test's database.
        email: The e-mail address. By default a unique one.
        password: The password.
        fields: Other fields of the user.
    """
    email = email or f"user{next(_numbers)}@example.com"
    user = User(**{"email": email, "hashed_password": hashed(password), **fields})
    async with database.writer() as session:
        session.add(user)
    return user


async def add_permission(database: Database, user: User, identity: str, action: str) -> Group:
    """Add a user to a new group with one permission. Names of groups sort by their age.

    Args:
        database: The test's database.
        user: The user.
        identity: The model, such as `book`.
        action: The action, such as `update`, or `*`.
    """
    refuse_renamed_action(action)
    async with database.writer() as session:
        group = Group(name=f"group {next(_numbers):05}")
        session.add(group)
        await session.flush()
        session.add(GroupPermission(group_id=group.id, identity=identity, action=action))
        session.add(Membership(user_id=user.id, group_id=group.id))
    return group


async def session_cookie(app: FastAPI, user: User) -> tuple[str, str]:
    """Create a session, and return the name and the value of its cookie."""
    async with app.state.database.writer() as session:
        token = await create_session(session, app.state.settings, user)
    return cookie_name(app.state.settings), token


async def sign_in(client: AsyncClient, app: FastAPI, user: User) -> None:
    """Add the cookie of a new session to the client.

    Args:
        client: The client.
        app: The site.
        user: The user to sign in.
    """
    name, token = await session_cookie(app, user)
    # Cookies that the site has set have its domain, so `set` would not replace them.
    for old_cookie in [cookie for cookie in client.cookies.jar if cookie.name == name]:
        client.cookies.jar.clear(old_cookie.domain, old_cookie.path, old_cookie.name)
    client.cookies.set(name, token)


async def make_token(database: Database, user: User, scopes: str = ALL_SCOPES) -> str:
    """Create a bearer token for an hour.

    Args:
        database: The test's database.
        user: The user of the token.
        scopes: Scopes separated by spaces, such as `books:read`. By default all.
    """
    async with database.writer() as session:
        return await issue_access_token(session, user, scopes)


async def sign_in_browser(page: "Page", app: FastAPI, user: User, site: str) -> None:
    """Add the cookie of a new session to Chromium.

    Args:
        page: A page of the browser.
        app: The site.
        user: The user to sign in.
        site: URL of the site.
    """
    name, token = await session_cookie(app, user)
    await page.context.add_cookies([{"name": name, "value": token, "url": site}])


@asynccontextmanager
async def signed_in_client(app: FastAPI, user: User | None = None) -> AsyncIterator[AsyncClient]:
    """Return a client in which a user is signed in.

    Args:
        app: The site.
        user: The user. By default a new one.
    """
    user = user or await make_user(app.state.database)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client:
        await sign_in(client, app, user)
        yield client


@lru_cache
def hashed(password: str) -> str:
    """Hash of the password, computed once."""
    return hashing.password_helper.hash(password)
