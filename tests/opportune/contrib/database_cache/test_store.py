"""The cache in a table: unavailable tables, open transactions and expired rows."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from opportune.contrib.database_cache import store
from opportune.contrib.database_cache.models import CacheRow
from opportune.contrib.database_cache.store import TableStore
from opportune.db import Database, utc_now
from opportune.web.cache import Cache
from tests.opportune.stored_rows import count, execute
from tests.opportune.waiting import wait_until

both_databases = pytest.mark.database("sqlite", "postgresql")


@pytest.fixture
async def cache(database: Database) -> AsyncIterator[Cache]:
    cache = Cache(TableStore(database), database)
    yield cache
    await cache.close()


@both_databases
async def test_missing_table_is_logged_once(cache: Cache, database: Database, caplog: pytest.LogCaptureFixture) -> None:
    await execute(database, text("DROP TABLE database_cache_row"))

    async def build(_session: object) -> int:
        return 1

    await cache.set("a", 1, 60, tags=["books"])
    assert await cache.get("a", "missing") == "missing"
    assert await cache.get_or_set("a", build, 60) == 1
    await cache.clear("books")
    assert (await cache.store.size()).entries == 0
    assert await cache.store.check()
    (line,) = [record.message for record in caplog.records]
    assert line.startswith("the cache in the database is unavailable (")
    assert line.endswith("): nothing is cached")


@both_databases
async def test_write_never_waits_for_itself(cache: Cache, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "WRITE_WAIT_SECONDS", 0)
    async with asyncio.timeout(60):
        async with database.writer() as session:
            session.add(CacheRow(key="other", value=b"", expires_at=utc_now()))
            await session.flush()
            await cache.set("a", 1, 60)
        await wait_until(lambda: cache.get("a"))


async def test_clearing_waits_for_no_write(cache: Cache, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await cache.set("a", 1, 60, tags=["books"])
    monkeypatch.setattr(store, "WRITE_WAIT_SECONDS", 0)
    async with database.writer() as session:
        session.add(CacheRow(key="other", value=b"", expires_at=utc_now()))
        await session.flush()
        await cache.clear("books")
        assert await cache.get("a") is None


async def test_failed_clearing_is_repeated_with_the_next_write(cache: Cache, database: Database) -> None:
    await cache.set("a", 1, 60, tags=["books"])
    await execute(database, text("ALTER TABLE database_cache_row RENAME TO unavailable"))
    await cache.clear("books")
    await execute(database, text("ALTER TABLE unavailable RENAME TO database_cache_row"))
    await cache.set("b", 1, 60)
    assert await Cache(TableStore(database), database).get("a") is None


@both_databases
async def test_only_the_claiming_process_releases_a_build(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "WRITE_WAIT_SECONDS", 60)
    stores = [TableStore(database) for _ in range(3)]
    with monkeypatch.context() as earlier:
        earlier.setattr(store, "LEASE_SECONDS", -1)
        assert await TableStore(database).claim("build")
    claims = []
    for process in stores:
        claims.append(await process.claim("build"))
        await stores[1].release("build")
    assert claims == [True, False, False]
    await stores[0].release("build")
    assert await stores[2].claim("build")


async def test_expired_rows_are_deleted(cache: Cache, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "WRITE_WAIT_SECONDS", 60)
    monkeypatch.setattr(store, "CLEANUP_EVERY_WRITES", 2)
    await cache.set("a", 1, 1e-6)
    await cache.set("b", 1, 60)
    assert await count(database, CacheRow) == 1
