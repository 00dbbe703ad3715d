"""A killed server loses no text that a client has received, and no job."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, select
from sqlmodel import col

from opportune.accounts.models import User
from opportune.cli.development import sockets
from opportune.contrib.answers.engine import store
from opportune.contrib.answers.engine.records import UNREAD
from opportune.contrib.answers.spending.models import LlmState
from opportune.db import Database
from opportune.testing import make_token
from tests.opportune.cli.development.processes import serve_site
from tests.opportune.contrib.answers.killed_site import BOOKS, STORY
from tests.opportune.contrib.answers.questions import TIMEOUT_SECONDS
from tests.opportune.forked import PROCESSES

START_SECONDS = 60


class Reader:
    """Reads the event stream of an answer. Remembers its text and the id of the last event."""

    def __init__(self, token: str) -> None:
        self.headers = {"Authorization": f"Bearer {token}"}
        self.text = ""

    async def read(self, client: httpx2.AsyncClient, path: str, length: int) -> None:
        async with client.stream("GET", f"{path}/stream", headers=self.headers) as response:
            async for line in response.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "id":
                    self.headers["Last-Event-ID"] = value
                if name == "data":
                    self.text += json.loads(value).get("text", "")
                if not line and len(self.text) >= length:
                    return


@asynccontextmanager
async def run_server(database_url: str) -> AsyncIterator[tuple[httpx2.AsyncClient, int]]:
    environ = {"ENVIRONMENT": "test", "DATABASE_URL": database_url, "JOBS": "inline"}
    with sockets.reserve("127.0.0.1", 0) as listener:
        listener.listen()
        app = "tests.opportune.contrib.answers.killed_site:create_site"
        process = PROCESSES.Process(target=serve_site, args=(listener, app, environ, {}))
        process.start()
        address = sockets.listener_url(listener)
    try:
        assert process.pid
        async with httpx2.AsyncClient(base_url=address, timeout=START_SECONDS) as client:
            yield client, process.pid
    finally:
        process.kill()
        process.join(TIMEOUT_SECONDS)


async def wait_for_progress(client: httpx2.AsyncClient, path: str, headers: dict[str, str], done: int) -> None:
    async with asyncio.timeout(START_SECONDS):
        while True:
            runs = (await client.get(path, headers=headers)).json()["tool_runs"]
            if runs and (runs[0]["progress"] or {"done": 0})["done"] >= done:
                return
            await asyncio.sleep(0.05)


async def wait_until_ended(client: httpx2.AsyncClient, path: str, headers: dict[str, str]) -> dict[str, Any]:
    async with asyncio.timeout(START_SECONDS):
        while True:
            answer: dict[str, Any] = (await client.get(path, headers=headers)).json()
            if answer["status"] not in ("waiting", "streaming"):
                return answer
            await asyncio.sleep(0.05)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
async def test_displayed_text_and_jobs_survive_sigkill(database_url: str, database: Database, user: User) -> None:
    reader = Reader(await make_token(database, user))
    async with run_server(database_url) as (client, pid):
        shelf_id = (await client.post("/api/v1/shelves", headers=reader.headers)).json()
        story_id = (await client.post("/api/v1/stories", headers=reader.headers)).json()
        shelf_path, path = f"/api/v1/answers/{shelf_id}", f"/api/v1/answers/{story_id}"
        await wait_for_progress(client, shelf_path, reader.headers, 5)
        await reader.read(client, path, len(STORY) // 3)
        os.kill(pid, signal.SIGKILL)
    stored = await store.read_progress(database, dict.fromkeys((story_id, shelf_id), UNREAD))
    assert stored[story_id].text.startswith(reader.text)
    assert (stored[shelf_id].answer.status, stored[shelf_id].text) == ("waiting", "One moment. ")
    async with run_server(database_url) as (client, _):
        await reader.read(client, path, len(STORY) + 1)
        story = await wait_until_ended(client, path, reader.headers)
        shelf = await wait_until_ended(client, shelf_path, reader.headers)
    assert (reader.text, story["text"], story["status"]) == (STORY, STORY, "done")
    assert (shelf["text"], shelf["status"]) == (f"One moment. All {BOOKS} books are read.", "done")
    assert (shelf["prompt_tokens"], shelf["completion_tokens"]) == (20, 10)
    async with database.reader(fresh=True) as session:
        books = col(LlmState.key).startswith("book ")
        assert await session.scalar(select(func.count()).where(books)) == BOOKS
