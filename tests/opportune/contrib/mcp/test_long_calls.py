import asyncio

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts import User
from opportune.config import Settings
from opportune.contrib.mcp.server.message import TOPIC, call_key, cancellations
from opportune.db import Database
from opportune.db.bus.postgresql import PostgreSQLBus
from opportune.db.url.direct import direct_url
from opportune.jobs.service import open_services
from opportune.services.tasks import cancel_and_wait
from tests.opportune.contrib.mcp.library import BOTH_MODES, Connect
from tests.opportune.contrib.mcp.reading_room import LOANS, Loan
from tests.opportune.stored_rows import reload
from tests.opportune.waiting import wait_until

CALL = {"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "lend_book", "arguments": {}}}
CANCEL = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}}
TIMEOUT_SECONDS = 60


@pytest.fixture
async def loan() -> Loan:
    LOANS.append(Loan())
    return LOANS[-1]


@BOTH_MODES
async def test_progress_of_a_tool_is_sent(open_room: Connect, mode: str) -> None:
    reports: list[tuple[float, float | None, str | None]] = []

    async def record(progress: float, total: float | None, message: str | None) -> None:
        reports.append((progress, total, message))

    async with open_room(mode=mode) as client:
        result = await client.call_tool("scan_shelves", {"count": 3}, progress_callback=record)
    assert result.structured_content == {"title": "shelves", "pages": 3}
    assert reports[-1] == (3, 3, "Scanning")


async def test_abandoned_call_is_rolled_back(open_room: Connect, database: Database, ada: User, loan: Loan) -> None:
    async with open_room() as client, asyncio.timeout(TIMEOUT_SECONDS):
        call = asyncio.create_task(client.call_tool("lend_book"))
        await loan.started.wait()
        await cancel_and_wait(call)
        await loan.cancelled.wait()
    assert (await reload(database, ada)).email == "ada@example.com"


async def test_notification_cancels_a_call(old_program: AsyncClient, database: Database, ada: User, loan: Loan) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        call = asyncio.create_task(old_program.post("/mcp", json=CALL))
        await loan.started.wait()
        assert (await old_program.post("/mcp", json=CANCEL)).status_code == 202
        response = (await call).json()
    assert response["error"] == {"code": -32800, "message": "The client has cancelled this call."}
    assert loan.cancelled.is_set()
    assert (await reload(database, ada)).email == "ada@example.com"


async def test_cancellation_is_sent_to_other_processes(
    room: FastAPI, old_program: AsyncClient, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[tuple[str, str]] = []
    monkeypatch.setattr(room.state.database.bus, "publish", lambda *message: published.append(message))
    await old_program.post("/mcp", json=CANCEL)
    assert published == [(TOPIC, call_key(ada.id, old_program.headers["Mcp-Session-Id"], 5))]


@pytest.mark.database("postgresql")
async def test_cancellation_of_another_process_ends_a_call(
    room: FastAPI, old_program: AsyncClient, settings: Settings, ada: User, loan: Loan
) -> None:
    database = room.state.database
    first, second = (PostgreSQLBus(database.engine, direct_url(settings)) for _ in range(2))
    database.bus = first
    services = open_services(settings, database, room.state.storage, ())
    async with asyncio.timeout(TIMEOUT_SECONDS), cancellations(services), first.listening():
        await wait_until(lambda: first.is_connected)
        call = asyncio.create_task(old_program.post("/mcp", json=CALL))
        await loan.started.wait()
        key = call_key(ada.id, old_program.headers["Mcp-Session-Id"], 5)
        second.publish(TOPIC, key)
        assert "error" in (await call).json()


async def test_other_sessions_cannot_cancel_a_call(old_program: AsyncClient, loan: Loan) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        call = asyncio.create_task(old_program.post("/mcp", json=CALL))
        await loan.started.wait()
        await old_program.post("/mcp", json=CANCEL, headers={"Mcp-Session-Id": "other"})
        await old_program.post("/mcp", json=CANCEL | {"params": {"requestId": 6}})
        await old_program.post("/mcp", json=CANCEL | {"params": ["wrong"]})
        assert not loan.cancelled.is_set()
        await old_program.post("/mcp", json=CANCEL)
        await call
