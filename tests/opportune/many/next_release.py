"""The next release of the ledger: entries have a note, and the route that adds them has another name.

The routes of the last release stay for clients that still use them.
"""

from dataclasses import replace

from fastapi import APIRouter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db import WriteSession
from opportune.jobs import JobContext, defer, job
from tests.opportune.many import ledger as last_release

INSERT = text("INSERT INTO ledger_entry (key, note) VALUES (:key, '')")
# A second run of the job would show.
ADD_NOTE = text("UPDATE ledger_entry SET note = note || 'noted' WHERE key = :key")

router = APIRouter()
router.include_router(last_release.router)


async def add_note(session: AsyncSession, key: str) -> None:
    await session.execute(ADD_NOTE, {"key": key})


@job("ledger.annotate")
async def annotate(run: JobContext, key: str) -> None:
    await run.write(add_note, key)


@router.post("/ledger/rows/{key}", status_code=201)
async def add_row(session: WriteSession, key: str) -> None:
    await session.execute(INSERT, {"key": key})
    defer(session, last_release.copy_entry(key))
    defer(session, annotate(key))


jobs = replace(last_release.ledger.jobs, definitions=[*last_release.ledger.jobs.definitions, annotate])
ledger = replace(last_release.ledger, api=router, jobs=jobs)
