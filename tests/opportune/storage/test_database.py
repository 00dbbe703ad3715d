"""Files in the database: what differs from other places, on both databases and through a transaction pooler."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from httpx import ASGITransport, AsyncClient
from pydantic import SecretStr
from sqlalchemy import func, select

from opportune.application import create_app
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.factory import open_database
from opportune.storage import MissingFileError, Storage, StorageDependency, StorageError, open_storage
from opportune.storage.models import StoredPiece
from opportune.storage.storage import FileTooLargeError, StorageFullError
from opportune.testing.plugin import settings_for
from opportune.testing.services.pgbouncer import pgbouncer
from opportune.testing.statements import counted_statements


@pytest.fixture
async def pooled(database_url: str, database_kind: str) -> AsyncIterator[Database]:
    """The database, by way of a transaction pooler where it is PostgreSQL."""
    if database_kind == "sqlite":
        database = open_database(settings_for(database_url))
        yield database
    else:
        with pgbouncer(database_url) as url:
            database = open_database(settings_for(url))
            yield database
    await database.dispose()


def storage_of(database: Database, limits: str) -> Storage:
    settings = database.settings.model_copy(update={"storage_url": SecretStr(f"database:?{limits}")})
    return open_storage(settings, database)


async def test_files_are_kept_in_pieces_until_their_limits_and_go_with_all_their_pieces(pooled: Database) -> None:
    storage = storage_of(pooled, "max_file_megabytes=1&max_total_megabytes=2")
    content = bytes(range(200)) * 4_500
    name = await storage.save("films", "bin", content, "video/mp4")
    async with pooled.reader() as session:
        largest, number = (
            await session.execute(select(func.max(func.length(StoredPiece.content)), func.count()))
        ).one()
    assert (largest, number) == (65_536, 14)
    assert await storage.read_part(name, 70_000, 140_000) == (content[70_000:140_000], 900_000)
    with pytest.raises(FileTooLargeError, match=r"^Please choose a file of at most 1 MB\.$"):
        await storage.save("films", "bin", bytes(1_000_001), "video/mp4")
    await storage.put(name, content, "video/mp4")
    other = await storage.save("films", "bin", content, "video/mp4")
    assert not await storage.check()
    with pytest.raises(StorageFullError, match=r"^This site has no room for more files: they may take 2 MB in all\.$"):
        await storage.save("films", "bin", bytes(300_000), "video/mp4")
    await storage.save("films", "bin", bytes(200_000), "video/mp4")
    assert "nothing more is kept. Raise max_total_megabytes in STORAGE_URL." in await storage.check()
    await storage.delete(name)
    assert await storage.read(other) == content
    with pytest.raises(MissingFileError):
        await storage.read_part(name, 0, 0)
    async with pooled.reader() as session:
        assert await session.scalar(select(func.count()).select_from(StoredPiece)) == 14 + 4


@pytest.mark.database("sqlite")
async def test_a_refusal_of_a_place_that_is_full_or_takes_less_says_so_to_programs_too(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"storage_url": SecretStr("database:?max_total_megabytes=1")}))

    @app.post("/api/keep/{size}")
    async def keep(storage: StorageDependency, size: int) -> str:
        return await storage.save("films", "bin", bytes(size), "video/mp4")

    async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client:
        large, kept, full = [await client.post(f"/api/keep/{size}") for size in (10_000_001, 900_000, 200_000)]
    await app.state.database.dispose()
    assert (large.status_code, kept.status_code, full.status_code) == (422, 200, 507)
    assert full.json()["detail"] == "This site has no room for more files: they may take 1 MB in all."


@pytest.mark.database("sqlite")
async def test_a_picture_takes_one_statement_and_none_of_a_large_file_is_asked_for_twice(database: Database) -> None:
    storage = storage_of(database, "")
    name = await storage.save("films", "bin", bytes(1_000_000), "video/mp4")
    with counted_statements("jobs_file") as statements:
        await storage.read_part(name, 0, 512 * 1024)
    assert len(statements) == 1


@pytest.mark.database("sqlite")
async def test_a_database_without_its_tables_is_told_in_one_line(empty_database_url: str) -> None:
    database = open_database(settings_for(empty_database_url))
    storage = storage_of(database, "")
    with pytest.raises(StorageError, match=r"^Files cannot be kept or shown at the moment"):
        await storage.save("films", "bin", b"x", "video/mp4")
    fault = await storage.check()
    await database.dispose()
    assert fault.startswith("Files cannot be kept in the database: ")
    assert "\n" not in fault


async def test_of_two_who_keep_a_file_at_once_one_gets_the_last_room(pooled: Database) -> None:
    storage = storage_of(pooled, "max_total_megabytes=1")
    saves = [storage.save("films", "bin", bytes(600_000), "video/mp4") for _ in range(4)]
    found = await asyncio.gather(*saves, return_exceptions=True)
    assert sorted(type(each).__name__ for each in found) == ["StorageFullError"] * 3 + ["str"]
