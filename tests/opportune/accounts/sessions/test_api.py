"""API of a user's sessions and API tokens."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select, update
from sqlmodel import col

from opportune.accounts.models import ApiToken, Session
from opportune.db.database import Database
from opportune.db.models.model import utc_now
from opportune.testing.factories import PASSWORD, signed_in_client
from tests.opportune.accounts.recorded_emails import ada_client, other_browser, user

__all__ = ["ada_client", "other_browser", "user"]  # fixtures

ME, SESSIONS, TOKENS = "/api/v1/users/me", "/api/v1/users/me/sessions", "/api/v1/users/me/tokens"
NEW_TOKEN = {"name": "Backup <script>", "days": "30", "current_password": PASSWORD}


@pytest.fixture
async def eve_client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    async with signed_in_client(app) as client:
        yield client


async def is_signed_in(client: AsyncClient) -> bool:
    return bool((await client.get(ME)).status_code == 200)


async def create_token(client: AsyncClient, **changes: Any) -> Any:
    return await client.post(TOKENS, json={**NEW_TOKEN, "days": 30, **changes})


async def backdate(database: Database, model: type[Session] | type[ApiToken], **values: Any) -> None:
    async with database.writer() as session:
        await session.execute(update(model).values(**values))


async def test_sessions_need_a_user(client: AsyncClient) -> None:
    for path in (SESSIONS, TOKENS, f"{ME}/export"):
        assert (await client.get(path)).status_code == 401
    for path in (ME, SESSIONS, f"{SESSIONS}/1", TOKENS, f"{TOKENS}/1"):
        assert (await client.request("DELETE", path, json={"current_password": PASSWORD})).status_code == 401
    assert (await create_token(client)).status_code == 401


async def test_user_lists_sessions(
    ada_client: AsyncClient, other_browser: AsyncClient, database: Database, eve_client: AsyncClient
) -> None:
    async with database.writer() as session:
        row = (await session.scalars(select(Session).order_by(col(Session.id)))).first()
        assert row
        row.agent, row.address, row.seen_at = "Mozilla/5.0 (X11; Linux) Firefox/145.0", "192.0.2.7", utc_now()

    current_session, other_session = (await ada_client.get(SESSIONS)).json()

    assert {
        "id": row.id,
        "device": "Firefox on Linux",
        "address": "192.0.2.7",
        "is_current": True,
    }.items() <= current_session.items()
    assert not other_session["is_current"]
    assert "hash" not in str(current_session)


async def test_user_ends_sessions(ada_client: AsyncClient, other_browser: AsyncClient, eve_client: AsyncClient) -> None:
    ids = {row["is_current"]: row["id"] for row in (await ada_client.get(SESSIONS)).json()}

    assert (await eve_client.delete(f"{SESSIONS}/{ids[False]}")).status_code == 404
    assert await is_signed_in(other_browser)
    assert (await ada_client.delete(f"{SESSIONS}/{ids[False]}")).status_code == 204
    assert (await ada_client.delete(f"{SESSIONS}/{ids[False]}")).status_code == 404
    assert not await is_signed_in(other_browser)
    assert (await ada_client.delete(SESSIONS)).status_code == 204
    assert not await is_signed_in(ada_client)
    assert await is_signed_in(eve_client)


async def test_token_is_shown_once_and_works(ada_client: AsyncClient, client: AsyncClient, database: Database) -> None:
    response = await create_token(ada_client)

    assert response.status_code == 201
    assert response.headers["cache-control"] == "no-store, no-transform"
    token = response.json()["token"]
    (token_row,) = (await ada_client.get(TOKENS)).json()
    assert token_row.keys() == response.json().keys() - {"token"}
    assert token_row["name"] == NEW_TOKEN["name"]
    assert token.startswith(token_row["hint"])
    async with database.reader() as session:
        stored = (await session.scalars(select(ApiToken))).one()
    assert token not in stored.model_dump_json()
    assert stored.expires_at - stored.created_at == pytest.approx(timedelta(days=30), abs=timedelta(minutes=1))

    client.headers["Authorization"] = f"Bearer {token}"
    assert await is_signed_in(client)
    assert (await ada_client.delete(f"{TOKENS}/{token_row['id']}")).status_code == 204
    assert not await is_signed_in(client)


async def test_token_needs_password_name_and_lifetime(ada_client: AsyncClient) -> None:
    for invalid_field in (
        {"current_password": "not the password"},
        {"name": ""},
        {"name": "x" * 101},
        {"name": "nul\0"},
        {"days": 3650},
        {"days": None},
    ):
        response = await create_token(ada_client, **invalid_field)

        assert [error["field"] for error in response.json()["errors"]] == [list(invalid_field)], response.text
    assert (await ada_client.get(TOKENS)).json() == []

    assert [(await create_token(ada_client)).status_code for _ in range(11)] == [201] * 11


async def test_token_of_another_user_is_not_found(ada_client: AsyncClient, eve_client: AsyncClient) -> None:
    token_id = (await create_token(ada_client)).json()["id"]

    for path in (f"{TOKENS}/{token_id}", f"{TOKENS}/{2**63}", f"{TOKENS}/{token_id + 1}"):
        assert (await eve_client.delete(path)).status_code == 404
    assert (await eve_client.delete(TOKENS)).status_code == 204
    assert len((await ada_client.get(TOKENS)).json()) == 1
    assert (await ada_client.delete(TOKENS)).status_code == 204
    assert (await ada_client.get(TOKENS)).json() == []


async def test_expired_rows_are_not_listed(
    ada_client: AsyncClient, other_browser: AsyncClient, database: Database
) -> None:
    await create_token(ada_client)
    await backdate(database, ApiToken, expires_at=utc_now() - timedelta(seconds=1))
    assert (await ada_client.get(TOKENS)).json() == []

    async with database.writer() as session:
        oldest = select(col(Session.id)).order_by(col(Session.id).desc()).limit(1).scalar_subquery()
        await session.execute(update(Session).where(col(Session.id) == oldest).values(expires_at=utc_now()))
    assert len((await ada_client.get(SESSIONS)).json()) == 1
