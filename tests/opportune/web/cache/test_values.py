"""Values in the cache: types, lifetime, tags, shared builds and transactions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any
from unittest.mock import AsyncMock
from uuid import UUID

import pytest
from markupsafe import Markup
from pydantic import BaseModel, SecretStr, model_serializer
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.models import Group
from opportune.db.database import Database
from opportune.web.cache import ALL_TAGS, Cache, clear_cache
from opportune.web.cache.store import MemoryStore, Store
from opportune.web.cache.values import dumps, loads
from tests.opportune.waiting import wait_until
from tests.opportune.web.cache.conftest import Clock, in_every_store


class Shelf(BaseModel):
    name: str
    books: list[str]


class Frozen(BaseModel, frozen=True): ...


class State(StrEnum):
    OPEN = "open"


class Builder:
    """Counts its builds, and can hold them back."""

    def __init__(self) -> None:
        self.value: Any = "first"
        self.builds = 0
        self.may_finish = asyncio.Event()
        self.may_finish.set()

    async def __call__(self, session: AsyncSession) -> Any:
        self.builds += 1
        value = self.value
        await self.may_finish.wait()
        if isinstance(value, Exception):
            raise value
        return value


@pytest.fixture
async def cache(store: Store, database: Database) -> AsyncIterator[Cache]:
    cache = Cache(store, database)
    database.info["cache"] = cache
    yield cache
    await cache.close()


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 1, 1.5, 2**70, "ü\ud800", [], {}, [None, {"a": [1]}], (1, (2,)), {1, 2}, frozenset({"a"})),
        *({1: "int", "$": "mark", None: date(2026, 1, 2)}, {"$": "date", "value": "x"}, b"\x00\xff"),
        *(date(2026, 2, 28), datetime(2026, 1, 2, tzinfo=UTC), time(1, 2)),
        *(timedelta(days=-4, microseconds=1), timedelta.max, Decimal("1.10"), UUID(int=5), Markup("<b>")),
    ],
    ids=repr,
)
def test_value_keeps_its_type(value: object) -> None:
    restored = loads(dumps(value))
    assert (restored, type(restored)) == (value, type(value))


def test_models_are_stored_as_data() -> None:
    assert loads(dumps([Shelf(name="a", books=["b"]), State.OPEN])) == [{"name": "a", "books": ["b"]}, "open"]
    assert loads(dumps(Group(id=3, name="Staff"))) == {"id": 3, "name": "Staff"}


class Sealed(BaseModel):
    @model_serializer
    def serialize(self) -> str:
        raise KeyError("seal")


endless: list[object] = []
endless.append(endless)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        *((object(), "builtins.object"), ({"a": SecretStr("x")}, "pydantic.types.SecretStr")),
        *((endless, "contain themselves"), (10**5000, "numbers"), (Sealed(), "Sealed"), ({Frozen(): 1}, "Frozen")),
    ],
    ids=["object", "secret", "endless", "digits", "model", "model as a key"],
)
def test_other_types_are_refused_in_one_line(value: object, name: str) -> None:
    with pytest.raises(TypeError, match=rf"^The cache does not store [^\n]*{name}[^\n]*$"):
        dumps(value)


@in_every_store
async def test_values_are_set_read_and_deleted(cache: Cache) -> None:
    key = "any text: * ü\n" + "x" * 500
    assert await cache.get(key, "missing") == "missing"
    await cache.set(key, None, 60)
    assert await cache.get(key, "missing") is None
    await cache.set(key, {"at": date(2026, 1, 2)}, 60, tags=["books", "book:1"])
    assert await cache.get(key) == {"at": date(2026, 1, 2)}
    await cache.delete(key)
    assert await cache.get(key) is None


@in_every_store
async def test_values_are_cleared_by_tag(cache: Cache) -> None:
    await cache.set("a", 1, 60, tags=["books", "a"])
    await cache.set("b", 2, 60, tags=["books"])
    await cache.clear("a", "other")
    assert [await cache.get("a"), await cache.get("b")] == [None, 2]
    await cache.clear(ALL_TAGS)
    assert await cache.get("b") is None


@in_every_store
async def test_values_expire(cache: Cache) -> None:
    await cache.set("a", 1, 0.001)
    async with asyncio.timeout(60):
        while await cache.get("a"):
            await asyncio.sleep(0.001)


async def test_hit_and_miss_return_equal_data(cache: Cache, database: Database) -> None:
    async def read_groups(session: AsyncSession) -> list[Group]:
        return [*await session.scalars(select(Group))]

    async with database.writer() as session:
        session.add(Group(name="Staff"))
    results = [await cache.get_or_set("groups", read_groups, 60) for _ in range(2)]
    assert results[0] == results[1]
    assert [group["name"] for group in results[0]] == ["Staff"]
    results[1].clear()
    assert await cache.get("groups")


async def test_stale_value_is_used_meanwhile(cache: Cache, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    builder = Builder()
    await cache.get_or_set("a", builder, 60, stale=300)
    clock.offset, builder.value = 100, LookupError("a bug")
    assert await cache.get_or_set("a", builder, 60, stale=300) == "first"
    await wait_until(lambda: "could not be refreshed" in caplog.text)
    builder.value = "second"
    await wait_until(lambda: not cache.builds.refreshes)
    assert await cache.get_or_set("a", builder, 60, stale=300) == "first"
    await wait_until(lambda: not cache.builds.refreshes)
    assert await cache.get_or_set("a", builder, 60, stale=300) == "second"
    assert builder.builds == 3


async def test_clock_set_back_does_not_keep_values(cache: Cache, clock: Clock) -> None:
    builder = Builder()
    await cache.get_or_set("a", builder, 60)
    clock.offset = -3600
    await cache.get_or_set("a", builder, 60)
    assert builder.builds == 2


async def test_values_follow_the_transaction(cache: Cache, database: Database) -> None:
    await cache.set("a", "old", 60, tags=["books"])
    with suppress(ZeroDivisionError):
        async with database.writer() as session:
            await cache.set("b", "new", 60, session=session)
            await cache.delete("a", session=session)
            clear_cache(session, "books")
            raise ZeroDivisionError
    assert [await cache.get("a"), await cache.get("b")] == ["old", None]
    async with database.writer() as session:
        await cache.set("b", "new", 60, session=session)
        clear_cache(session, "books")
        assert [await cache.get("a"), await cache.get("b")] == ["old", None]
    assert [await cache.get("a"), await cache.get("b")] == [None, "new"]


async def test_long_value_is_returned_but_not_stored(cache: Cache, caplog: pytest.LogCaptureFixture) -> None:
    builder = Builder()
    builder.value = "x" * 2**20
    assert [await cache.get_or_set("a", builder, 60) for _ in range(2)] == [builder.value] * 2
    await cache.set("a", "old", 60)
    await cache.set("a", builder.value, 60)
    assert await cache.get("a") is None
    (line,) = [record.message for record in caplog.records]
    assert line == "The value 'a' is not cached: it has 1048578 bytes, and at most 1048576 are stored"


async def test_wrong_options_are_refused(cache: Cache) -> None:
    for seconds, stale in ((0, 0), (-1, 0), (60, -1), (86_400, 1), (float("nan"), 0)):
        with pytest.raises(ValueError, match="seconds must be more than 0"):
            await cache.get_or_set("a", Builder(), seconds, stale=stale)
    with pytest.raises(TypeError, match=r"tags must be a list: tags=\['books'\]"):
        await cache.set("a", 1, 60, tags="books")


async def test_sites_do_not_share_keys(store: Store) -> None:
    one, two = Cache(store, secret="one"), Cache(store, secret="two")
    await one.set("a", 1, 60)
    assert await two.get("a") is None


async def test_value_of_another_version_is_built_again(cache: Cache) -> None:
    await cache.set("a", 1, 60)
    lookup = await cache.store.find(key := cache.key("value", "a"))
    assert lookup.entry
    for text in (b"", b"\x80\x04pickle", b'{"$": "other"}', b'{"$": "UUID", "value": 5}'):
        await cache.store.save(key, type(lookup.entry)(text, lookup.entry.built_at), lookup.tag_versions, 60)
        assert await cache.get("a", "missing") == "missing"
        assert await cache.get_or_set("a", Builder(), 60) == "first"


async def test_values_work_in_development(database: Database) -> None:
    cache = Cache(MemoryStore(), database, is_enabled=False)
    await cache.set("a", 1, 60)
    assert await cache.get("a") == 1


async def test_hanging_build_is_taken_over_by_one_task(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.web.cache.builds.BUILD_WAIT_SECONDS", 0.01)
    hanging, builder = Builder(), Builder()
    hanging.may_finish.clear()
    first = asyncio.create_task(cache.get_or_set("a", hanging, 60))
    await wait_until(lambda: hanging.builds == 1)
    assert await asyncio.gather(*(cache.get_or_set("a", builder, 60) for _ in range(9))) == ["first"] * 9
    assert builder.builds == 1
    first.cancel()


async def test_value_of_a_newer_version_is_kept(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    await cache.set("a", 1, 60)
    lookup = await cache.store.find(key := cache.key("value", "a"))
    assert lookup.entry
    await cache.store.save(key, type(lookup.entry)(b"", lookup.entry.built_at), lookup.tag_versions, 60)
    monkeypatch.setattr(cache.store, "drop", AsyncMock())  # as if the other version had stored it again
    assert await cache.get_or_set("a", Builder(), 60) == "first"
