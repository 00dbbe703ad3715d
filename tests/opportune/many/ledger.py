"""A feature for tests of several machines. Its table has no unique key, so that a second write shows."""

import sys
import time
from typing import Any

from fastapi import APIRouter, Request
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db import ReadSession, WriteSession
from opportune.feature import Feature, Jobs
from opportune.jobs import JobContext, defer, job
from opportune.storage import StorageDependency
from opportune.web import HOUR_SECONDS, RateLimit, cached, clear_cache

CREATE_TABLE = "CREATE TABLE ledger_entry (key text NOT NULL, created_at timestamptz NOT NULL DEFAULT now())"
INSERT = text("INSERT INTO ledger_entry (key) VALUES (:key)")
EXISTS = text("SELECT EXISTS (SELECT FROM ledger_entry WHERE key = :key)")
COUNT = text("SELECT count(*) FROM ledger_entry")
MAX_HITS = 5
LIMIT = RateLimit("ledger", MAX_HITS, HOUR_SECONDS, storage="cache")
TICK_SECONDS = 2

router = APIRouter(prefix="/ledger")


async def insert(session: AsyncSession, key: str) -> None:
    await session.execute(INSERT, {"key": key})


@job("ledger.copy", attempts=50, wait=1)
async def copy_entry(run: JobContext, key: str) -> None:
    await run.write(insert, f"copy of {key}")


@job("ledger.tick", schedule=f"*/{TICK_SECONDS} * * * * *")
async def tick(run: JobContext) -> None:
    await run.write(insert, f"tick {run.id}")


@job("ledger.check", attempts=2, wait=0.1)
async def check_text(run: JobContext, text: str) -> None: ...


@job("ledger.exhaust", attempts=2, wait=0.1)
async def exhaust_memory(run: JobContext) -> None:
    bytearray(sys.maxsize)


@router.post("/entries/{key}", status_code=201)
async def add_entry(session: WriteSession, key: str) -> None:
    """Add an entry, and a second one in a job."""
    await insert(session, key)
    defer(session, copy_entry(key))


@router.get("/entries/{key}")
async def has_entry(session: ReadSession, key: str) -> bool:
    return bool(await session.scalar(EXISTS, {"key": key}))


@router.get("/count")
@cached(600, tags=["ledger"])
async def count_entries(session: ReadSession) -> dict[str, Any]:
    return {"count": await session.scalar(COUNT), "built": time.monotonic()}


@router.post("/clear", status_code=204)
async def clear(session: WriteSession) -> None:
    clear_cache(session, "ledger")


@router.get("/limited/{subject}")
async def limited(request: Request, subject: str) -> None:
    await request.app.state.rate_limiter.hit(LIMIT.by(subject))


@router.get("/clock")
async def clock() -> float:
    return time.time()


@router.post("/files", status_code=201)
async def upload(storage: StorageDependency) -> str:
    return await storage.save("ledger", "txt", b"uploaded", "text/plain")


@router.get("/files/{name:path}")
async def download(storage: StorageDependency, name: str) -> str:
    return (await storage.read(name)).decode()


jobs = Jobs([copy_entry, tick, check_text, exhaust_memory])
ledger = Feature("ledger", "Tests of several machines.", api=router, jobs=jobs)
