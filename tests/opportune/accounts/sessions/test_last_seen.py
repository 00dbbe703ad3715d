"""Recording of the last use of sessions and tokens, which extends sessions."""

import asyncio
from datetime import datetime, timedelta
from typing import Any, NoReturn

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import event, update

from opportune.accounts.models import ApiToken, Session
from opportune.accounts.sessions.service import create_session
from opportune.db import Database, utc_now
from opportune.errors import ReadOnlyError
from opportune.testing.factories import make_token, make_user, signed_in_client
from opportune.web.client import Client
from tests.opportune.accounts.conftest import bearer
from tests.opportune.stored_rows import read_one, set_all

MONTH = timedelta(days=30)
PROFILE, ME = "/accounts/profile", "/api/v1/users/me"


async def backdate(database: Database, minutes: float, **values: object) -> None:
    """Change the last use of the only session."""
    seen_at = utc_now() - timedelta(minutes=minutes)
    await set_all(database, Session, seen_at=seen_at, expires_at=seen_at + timedelta(days=1), **values)


async def read_session(app: FastAPI) -> Any:
    await app.state.last_seen.close()
    return await read_one(app, Session)


def is_now(moment: datetime) -> bool:
    return abs(utc_now() - moment) < timedelta(minutes=1)


async def test_use_extends_the_session_by_a_day(app: FastAPI, database: Database, user_client: AsyncClient) -> None:
    await backdate(database, 6)
    assert (await user_client.get(PROFILE)).status_code == 200
    row = await read_session(app)
    assert is_now(row.seen_at)
    assert is_now(row.expires_at - timedelta(days=1))
    assert row.address == "127.0.0.1"


async def test_recent_use_writes_nothing(app: FastAPI, database: Database, user_client: AsyncClient) -> None:
    writes: list[str] = []
    await backdate(database, 4)
    event.listen(database.engine.sync_engine, "before_cursor_execute", lambda *args: writes.append(args[2]))
    await user_client.get(PROFILE)
    assert not is_now((await read_session(app)).seen_at)
    assert writes == []


async def test_session_ends_after_a_month(app: FastAPI, database: Database, user_client: AsyncClient) -> None:
    started = utc_now() - MONTH + timedelta(hours=1)
    await backdate(database, 6, created_at=started)
    await user_client.get(PROFILE)
    assert (await read_session(app)).expires_at == started + MONTH


async def test_remembered_session_lasts_a_month_unused(app: FastAPI, client: AsyncClient, database: Database) -> None:
    user = await make_user(database)
    async with database.writer() as session:
        token = await create_session(session, app.state.settings, user, remember=True)
    original = await read_session(app)
    assert is_now(original.expires_at - timedelta(days=30))
    await set_all(database, Session, seen_at=utc_now() - timedelta(minutes=6))
    client.cookies.set("session", token)
    assert (await client.get(PROFILE)).status_code == 200
    row = await read_session(app)
    assert is_now(row.seen_at)
    assert row.expires_at == original.expires_at


async def test_use_of_a_token_is_recorded(app: FastAPI, client: AsyncClient, database: Database) -> None:
    token = await make_token(database, await make_user(database))
    await client.get(ME, headers=bearer(token))
    await app.state.last_seen.close()
    used_at = (await read_one(database, ApiToken)).used_at
    assert used_at
    assert is_now(used_at)


async def test_page_does_not_wait_for_a_writer(app: FastAPI, database: Database, user_client: AsyncClient) -> None:
    await backdate(database, 6)
    async with app.state.database.writer() as session:
        await session.execute(update(Session).values(agent="busy"))  # blocks other writers
        assert (await user_client.get(PROFILE)).status_code == 200
    assert is_now((await read_session(app)).seen_at)


async def test_page_works_without_writing(app: FastAPI, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> NoReturn:
        raise ReadOnlyError

    async with signed_in_client(app) as client:
        await backdate(database, 6)
        with monkeypatch.context() as patch:
            patch.setattr(app.state.database, "writer", refuse)
            assert (await client.get(PROFILE)).status_code == 200
            await app.state.last_seen.close()

    assert not is_now((await read_session(app)).seen_at)


async def test_use_of_a_replaced_token_is_recorded(app: FastAPI) -> None:
    row = Session(id=1, token_hash="a" * 64, user_id=1, expires_at=utc_now(), seen_at=utc_now() - timedelta(hours=1))
    app.state.last_seen.record_use(row, Client("192.0.2.1"))
    row.token_hash = "b" * 64
    await app.state.last_seen.close()
    await asyncio.sleep(0)  # completes callbacks of the task
    assert app.state.last_seen._pending == {}
