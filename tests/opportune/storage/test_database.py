"""Files in the database, on SQLite and PostgreSQL with a transaction pooler."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext

import pytest
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr
from sqlalchemy import func, select

from opportune.application import create_app
from opportune.config.settings import Settings
from opportune.contrib.deploy.rehearsal.pgbouncer import pgbouncer
from opportune.db import Database, open_database
from opportune.storage import MissingFileError, Storage, StorageDependency, StorageError, open_storage
from opportune.storage.models import StoredPiece
from opportune.storage.storage import StorageFullError
from opportune.testing.plugin import settings_for


@pytest.fixture
async def pooled(database_url: str, database_kind: str) -> AsyncIterator[Database]:
    """Database of the site; PostgreSQL behind a transaction pooler."""
    with nullcontext(database_url) if database_kind == "sqlite" else pgbouncer(database_url) as url:
        async with open_database(settings_for(url)) as database:
            yield database


def storage_of(database: Database, limits: str) -> Storage:
    settings = database.settings.model_copy(update={"storage_url": SecretStr(f"database:?{limits}")})
    return open_storage(settings, database)


CONTENT = bytes(range(200)) * 4_500
PIECE_COUNT = 14
"""Pieces of 64 KiB, of which the last one is shorter."""


async def save_film(storage: Storage, content: bytes = CONTENT) -> str:
    return await storage.save("films", "bin", content, "video/mp4")


@pytest.mark.database("sqlite", "postgresql")
async def test_file_is_stored_in_pieces(pooled: Database) -> None:
    storage = storage_of(pooled, "")
    name = await save_film(storage)
    async with pooled.reader() as session:
        sizes = select(func.max(func.length(StoredPiece.content)), func.count())
        assert tuple((await session.execute(sizes)).one()) == (65_536, PIECE_COUNT)
    assert await storage.read_part(name, 70_000, 140_000) == (CONTENT[70_000:140_000], len(CONTENT))


@pytest.mark.database("sqlite", "postgresql")
async def test_files_over_the_total_limit_are_refused(database: Database) -> None:
    storage = storage_of(database, "max_total_megabytes=2")
    name = await save_film(storage)
    await storage.put(name, CONTENT, "video/mp4")  # replaces the file, so it counts once
    await save_film(storage)
    assert not await storage.check()
    with pytest.raises(StorageFullError, match=r"^This site has no room for more files: the limit is 2 MB\.$"):
        await save_film(storage, bytes(300_000))
    await save_film(storage, bytes(200_000))
    assert "no more files are saved. Raise max_total_megabytes in STORAGE_URL." in await storage.check()


async def test_deleted_file_has_no_pieces(database: Database) -> None:
    storage = storage_of(database, "")
    name, other = await save_film(storage), await save_film(storage)
    await storage.delete(name)
    assert await storage.read(other) == CONTENT
    with pytest.raises(MissingFileError):
        await storage.read_part(name, 0, 0)
    async with database.reader() as session:
        assert await session.scalar(select(func.count()).select_from(StoredPiece)) == PIECE_COUNT


async def test_full_storage_is_507_in_the_api(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"storage_url": SecretStr("database:?max_total_megabytes=1")}))

    @app.post("/api/files/{size}")
    async def save_file(storage: StorageDependency, size: int) -> str:
        return await storage.save("films", "bin", bytes(size), "video/mp4")

    async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client:
        large, saved, full = [await client.post(f"/api/files/{size}") for size in (10_000_001, 900_000, 200_000)]
    await app.state.database.dispose()
    assert (large.status_code, saved.status_code, full.status_code) == (422, 200, 507)
    assert full.json()["detail"] == "This site has no room for more files: the limit is 1 MB."


async def test_database_without_tables_is_an_error(empty_database_url: str) -> None:
    async with open_database(settings_for(empty_database_url)) as database:
        storage = storage_of(database, "")
        with pytest.raises(StorageError, match=r"^Files cannot be saved or shown at the moment"):
            await storage.save("films", "bin", b"x", "video/mp4")
        problem = await storage.check()
    assert problem.startswith("Files cannot be stored in the database: ")
    assert "\n" not in problem


@pytest.mark.database("sqlite", "postgresql")
async def test_concurrent_uploads_respect_the_limit(database: Database) -> None:
    storage = storage_of(database, "max_total_megabytes=1")
    saves = [storage.save("films", "bin", bytes(600_000), "video/mp4") for _ in range(4)]
    results = await asyncio.gather(*saves, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["StorageFullError"] * 3 + ["str"]
