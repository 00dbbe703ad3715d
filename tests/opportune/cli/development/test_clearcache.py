"""`clearcache`: clearing the entries of all processes."""

import asyncio

import pytest
from pydantic import SecretStr

from opportune.cli import transaction
from opportune.config.settings import Settings
from opportune.contrib.database_cache.store import TableStore
from opportune.db.database import Database
from opportune.testing.commands import Oppman
from opportune.testing.services.ports import free_port
from opportune.web.cache import Cache


@pytest.mark.parametrize(("tags", "remaining"), [([], [None, None]), (["a"], [None, 2])], ids=["all", "tag"])
async def test_clearcache_clears_the_shared_store(
    oppman: Oppman,
    settings: Settings,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    tags: list[str],
    remaining: list[int | None],
) -> None:
    settings = settings.model_copy(update={"cache_url": SecretStr("database:")})
    monkeypatch.setattr(transaction, "get_settings", lambda: settings)
    cache = Cache(TableStore(database))
    await cache.set("a", 1, 60, tags=["a"])
    await cache.set("b", 2, 60, tags=["b"])
    code, out, _ = await asyncio.to_thread(oppman, "clearcache", *tags)
    assert (code, out) == (0, "The cache was cleared.\n")
    assert [await cache.get("a"), await cache.get("b")] == remaining
    await cache.close()


@pytest.mark.parametrize(
    ("cache_url", "status", "message"),
    [
        ("memory:", 0, "Restart them, or set CACHE_URL."),
        (f"redis://127.0.0.1:{free_port()}", 1, "The cache was not cleared, because it is not available"),
    ],
    ids=["memory", "unavailable"],
)
async def test_clearcache_says_what_it_cannot_clear(
    oppman: Oppman, settings: Settings, monkeypatch: pytest.MonkeyPatch, cache_url: str, status: int, message: str
) -> None:
    settings = settings.model_copy(update={"cache_url": SecretStr(cache_url)})
    monkeypatch.setattr(transaction, "get_settings", lambda: settings)
    code, out, err = await asyncio.to_thread(oppman, "clearcache")
    assert (code, out) == (status, "")
    assert message in err
