"""Row and audit entry of a process that is killed between the two."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from multiprocessing import get_context
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import event, func, select

from opportune.accounts import User
from opportune.admin.log.recording import RECORDING
from opportune.admin.models import AuditEntry
from opportune.config.settings import Settings
from opportune.db import Database, open_database
from opportune.db.hooks.change_origin import ChangeOrigin, changes_come_from
from opportune.testing.plugin import settings_for
from tests.opportune.crud.api_feature import library_site
from tests.opportune.crud.library import Note, Notes

MAX_SECONDS = 60


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    async with library_site(settings) as app:
        yield app


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.parametrize("is_by_hand", [False, True])
async def test_killed_process_keeps_neither_row_nor_entry(
    app: FastAPI, settings: Settings, ann: User, is_by_hand: bool
) -> None:
    database: Database = app.state.database
    url = settings.database_url.get_secret_value()
    process = get_context("spawn").Process(target=add_note, args=(url, ann.id, is_by_hand))
    process.start()
    await asyncio.to_thread(process.join, MAX_SECONDS)
    assert process.exitcode == -signal.SIGKILL
    async with database.reader(fresh=True) as session:
        counts = [await session.scalar(select(func.count()).select_from(model)) for model in (Note, AuditEntry)]
    assert counts == [0, 0]


def add_note(url: str, owner_id: int, is_by_hand: bool) -> None:
    """Add a note in this process, and kill it before it writes the audit entry."""
    assert RECORDING
    asyncio.run(_add_note(open_database(settings_for(url)), owner_id, is_by_hand))


async def _add_note(database: Database, owner_id: int, is_by_hand: bool) -> None:
    event.listen(database.engine.sync_engine, "before_cursor_execute", kill_before_entry)
    with changes_come_from(ChangeOrigin("api")):
        async with database.writer() as session:
            if is_by_hand:
                session.add(Note(owner_id=owner_id, text="A note"))
            else:
                await Notes(session, await session.get_one(User, owner_id)).create({"text": "A note"})


def kill_before_entry(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
    if statement.startswith("INSERT INTO admin_audit_entry"):
        os.kill(os.getpid(), signal.SIGKILL)
