"""A feature for tests of several machines. Its table has no unique key, so that a second write shows."""

import time
from typing import Any

from fastapi import APIRouter, Depends
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db import ReadSession, WriteSession
from opportune.feature import Feature
from opportune.jobs import JobContext, defer, job
from opportune.storage import StorageDependency
from opportune.web import HOUR_SECONDS, RateLimit, cached, clear_cache

CREATE_TABLE = "CREATE TABLE ledger_entry (key text NOT NULL, created_at timestamptz NOT NULL DEFAULT now())"
INSERT = text("INSERT INTO ledger_entry (key) VALUES (:key)")
COUNT = text("SELECT count(*) FROM ledger_entry")
MAX_HITS = 5
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


@router.post("/entries/{key}", status_code=201)
async def add_entry(session: WriteSession, key: str) -> None:
    """Add an entry, and a second one in a job."""
    await insert(session, key)
    defer(session, copy_entry(key))


@router.get("/count")
@cached(600, tags=["ledger"])
async def count_entries(session: ReadSession) -> dict[str, Any]:
    return {"count": await session.scalar(COUNT), "built": time.monotonic()}


@router.post("/clear", status_code=204)
async def clear(session: WriteSession) -> None:
    clear_cache(session, "ledger")


@router.get("/limited", dependencies=[Depends(RateLimit("ledger.cache", MAX_HITS, HOUR_SECONDS, storage="cache"))])
async def limited() -> None: ...


@router.get("/warm", dependencies=[Depends(RateLimit("ledger.warm", 100, HOUR_SECONDS, storage="cache"))])
async def warm() -> None: ...


@router.get("/clock")
async def clock() -> float:
    return time.time()


@router.post("/files", status_code=201)
async def upload(storage: StorageDependency) -> str:
    return await storage.save("ledger", "txt", b"uploaded", "text/plain")


@router.get("/files/{name:path}")
async def download(storage: StorageDependency, name: str) -> str:
    return (await storage.read(name)).decode()


ledger = Feature(name="ledger", summary="Tests of several machines.", api=router, jobs=[copy_entry, tick])
