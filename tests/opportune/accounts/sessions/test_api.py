"""API of a user's sessions and API tokens."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts.models import ApiToken, Session
from opportune.db.database import Database
from opportune.db.models.model import utc_now
from opportune.testing.factories import PASSWORD, signed_in_client
from tests.opportune.accounts.conftest import is_signed_in, token_status
from tests.opportune.accounts.stored_rows import change, read_all, read_one, set_all

SESSIONS, TOKENS = "/api/v1/users/me/sessions", "/api/v1/users/me/tokens"
NEW_TOKEN = {"name": "Backup <script>", "days": 30, "current_password": PASSWORD}


@pytest.fixture
async def eve_client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    async with signed_in_client(app) as client:
        yield client


async def create_token(client: AsyncClient, **changes: Any) -> Any:
    return await client.post(TOKENS, json={**NEW_TOKEN, **changes})


async def test_user_lists_sessions(
    user_client: AsyncClient, other_browser: AsyncClient, database: Database, eve_client: AsyncClient
) -> None:
    row = (await read_all(database, Session))[0]
    agent = "Mozilla/5.0 (X11; Linux) Firefox/145.0"
    await change(database, row, agent=agent, address="192.0.2.7", seen_at=utc_now())
    current_session, other_session = (await user_client.get(SESSIONS)).json()
    expected = {"id": row.id, "device": "Firefox on Linux", "address": "192.0.2.7", "is_current": True}
    assert expected.items() <= current_session.items()
    assert not other_session["is_current"]
    assert "hash" not in str(current_session)


async def test_user_ends_sessions(
    user_client: AsyncClient, other_browser: AsyncClient, eve_client: AsyncClient
) -> None:
    ids = {row["is_current"]: row["id"] for row in (await user_client.get(SESSIONS)).json()}
    assert (await eve_client.delete(f"{SESSIONS}/{ids[False]}")).status_code == 404
    assert await is_signed_in(other_browser)
    assert (await user_client.delete(f"{SESSIONS}/{ids[False]}")).status_code == 204
    assert not await is_signed_in(other_browser)
    assert (await user_client.delete(SESSIONS)).status_code == 204
    assert not await is_signed_in(user_client)
    assert await is_signed_in(eve_client)


async def test_token_is_shown_once_and_works(user_client: AsyncClient, client: AsyncClient, database: Database) -> None:
    response = await create_token(user_client)
    assert (response.status_code, response.headers["cache-control"]) == (201, "no-store, no-transform")
    token = response.json()["token"]
    (token_row,) = (await user_client.get(TOKENS)).json()
    assert token_row.keys() == response.json().keys() - {"token"}
    assert token_row["name"] == NEW_TOKEN["name"]
    stored = await read_one(database, ApiToken)
    assert token not in stored.model_dump_json()
    assert stored.expires_at - stored.created_at == pytest.approx(timedelta(days=30), abs=timedelta(minutes=1))

    assert await token_status(client, token) == 200
    assert (await user_client.delete(f"{TOKENS}/{token_row['id']}")).status_code == 204
    assert await token_status(client, token) == 401


INVALID_FIELDS: list[dict[str, Any]] = [
    {"current_password": "not the password"},
    {"name": ""},
    {"name": "x" * 101},
    {"name": "nul\0"},
    {"days": 3650},
    {"days": None},
]


async def test_token_needs_password_name_and_lifetime(user_client: AsyncClient) -> None:
    for invalid_field in INVALID_FIELDS:
        response = await create_token(user_client, **invalid_field)
        assert [error["field"] for error in response.json()["errors"]] == [list(invalid_field)], response.text
    assert (await user_client.get(TOKENS)).json() == []
    assert [(await create_token(user_client)).status_code for _ in range(11)] == [201] * 11


async def test_user_ends_only_own_tokens(user_client: AsyncClient, eve_client: AsyncClient) -> None:
    token_id = (await create_token(user_client)).json()["id"]
    for path in (f"{TOKENS}/{token_id}", f"{TOKENS}/{2**63}"):
        assert (await eve_client.delete(path)).status_code == 404
    assert (await eve_client.delete(TOKENS)).status_code == 204
    assert len((await user_client.get(TOKENS)).json()) == 1
    assert (await user_client.delete(TOKENS)).status_code == 204
    assert (await user_client.get(TOKENS)).json() == []


async def test_expired_rows_are_not_listed(
    user_client: AsyncClient, other_browser: AsyncClient, database: Database
) -> None:
    await create_token(user_client)
    await set_all(database, ApiToken, expires_at=utc_now() - timedelta(seconds=1))
    assert (await user_client.get(TOKENS)).json() == []
    await change(database, (await read_all(database, Session))[-1], expires_at=utc_now())
    assert len((await user_client.get(SESSIONS)).json()) == 1
