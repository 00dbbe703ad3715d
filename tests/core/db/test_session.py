import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session as SyncSession

from app.accounts.models import User
from app.core.db.session import ReadSession, WriteSession
from app.main import create_app
from tests.conftest import settings_for


@pytest.fixture
async def visitors(app: FastAPI, client: AsyncClient) -> AsyncClient:
    """A site with three routes more."""

    @app.post("/api/write")
    async def write(session: WriteSession) -> dict[str, bool]:
        session.add(User(email="a@example.com", hashed_password="none"))
        return {"written": True}

    @app.post("/api/fail")
    async def fail(session: WriteSession) -> None:
        session.add(User(email="a@example.com", hashed_password="none"))
        await session.flush()
        raise RuntimeError("after the write")

    @app.get("/api/count")
    async def count(session: ReadSession) -> int:
        return await session.scalar(select(func.count()).select_from(User)) or 0

    return client


async def test_what_a_request_writes_is_there_when_it_is_answered(visitors: AsyncClient) -> None:
    assert (await visitors.post("/api/write")).status_code == 200
    assert (await visitors.get("/api/count")).json() == 1


async def test_a_request_that_fails_leaves_nothing(visitors: AsyncClient) -> None:
    assert (await visitors.post("/api/fail")).status_code == 500
    assert (await visitors.get("/api/count")).json() == 0


async def test_a_commit_that_fails_is_an_error_and_not_a_success(visitors: AsyncClient) -> None:
    def refuse(_: SyncSession) -> None:
        raise RuntimeError("the disk went away")

    event.listen(SyncSession, "before_commit", refuse)
    try:
        response = await visitors.post("/api/write")
    finally:
        event.remove(SyncSession, "before_commit", refuse)
    assert response.status_code == 500
    assert "disk" not in response.text
    assert (await visitors.get("/api/count")).json() == 0


async def test_a_row_that_is_there_already_is_a_conflict(visitors: AsyncClient) -> None:
    await visitors.post("/api/write")
    response = await visitors.post("/api/write")
    assert response.status_code == 409
    assert "accounts_user" not in response.text


async def test_one_request_gets_one_session(app: FastAPI, client: AsyncClient) -> None:
    @app.post("/api/same")
    async def same(first: WriteSession, second: WriteSession) -> bool:
        return first is second

    assert (await client.post("/api/same")).json() is True


async def test_a_database_without_tables_is_unavailable_and_the_log_says_what_to_do(
    empty_database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(settings_for(empty_database_url))
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client,
    ):
        form = {"email": "a@example.com", "password": "a long password"}
        assert (await client.post("/accounts/login", data=form)).status_code == 503
    assert "python3 oppman.py migrate" in caplog.text
