"""Verification of an address by the link in an e-mail."""

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import update

from opportune.accounts import signed_links
from opportune.accounts.flows.registration import _verify_user
from opportune.accounts.models import User
from opportune.accounts.users.context import AccountContext
from opportune.accounts.users.errors import InvalidLinkError
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD, make_user
from opportune.web.client import Client
from tests.opportune.accounts.sent_emails import ACCOUNTS, AUTH, EMAIL, read_newest_link, read_users, settings

__all__ = ["settings"]  # a fixture


async def test_address_is_verified_once_by_a_button(app: FastAPI, client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL)
    await client.post(f"{ACCOUNTS}/verify/again", data={"email": EMAIL})
    path, token = await read_newest_link(app)
    assert (await client.get(path, params={"token": token})).status_code == 200
    assert await read_users(database) == [(EMAIL, False)]
    assert (await client.post(path, data={"token": token, "password": PASSWORD})).status_code == 303
    assert await read_users(database) == [(EMAIL, True)]
    assert (await client.post(path, data={"token": token, "password": PASSWORD})).status_code == 410


async def test_verification_needs_the_password_of_the_account(
    app: FastAPI, client: AsyncClient, database: Database
) -> None:
    await make_user(database, EMAIL)  # staff may have created the account, and know its password
    await client.post(f"{ACCOUNTS}/verify/again", data={"email": EMAIL})
    path, token = await read_newest_link(app)
    for password_fields in ({}, {"password": "a password of my own"}):
        assert (await client.post(path, data={"token": token, **password_fields})).status_code == 422
        assert (await client.post(f"{AUTH}/verify", json={"token": token, **password_fields})).status_code == 422
    assert await read_users(database) == [(EMAIL, False)]


async def test_link_does_not_verify_another_address(app: FastAPI, database: Database, settings: Settings) -> None:
    user = await make_user(database, EMAIL)
    token = signed_links.make_link_token(settings, "verify", user)
    async with database.writer() as session, database.reader() as other_session:
        match = await signed_links.read_link_token(other_session, settings, "verify", token)
        assert match
        await session.execute(update(User).values(email="bob@example.com"))
        context = AccountContext(session, settings, app.state.rate_limiter, Client())
        with pytest.raises(InvalidLinkError):
            await _verify_user(context, match[0])
    assert await read_users(database) == [("bob@example.com", False)]
