"""Messages between processes of a site, through Redis and PostgreSQL, and the choice of the bus."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from pydantic import SecretStr
from sqlalchemy import make_url, text

from opportune.config.settings import Settings
from opportune.db import Database, open_database
from opportune.db.bus import Bus, MemoryBus
from opportune.db.bus.base import MAX_MESSAGE_BYTES
from opportune.db.bus.postgresql import PostgreSQLBus
from opportune.db.bus.redis import RedisBus
from opportune.db.url.direct import direct_url
from opportune.errors import OperatorError
from opportune.testing.plugin import settings_for
from opportune.testing.services.ports import free_port
from tests.opportune.db.drivers.faulty_proxy import FaultyProxy
from tests.opportune.waiting import wait_until

MakeBus = Callable[[], Bus]
Messages = asyncio.Queue[str | None]


@pytest.fixture
def make_bus(redis_url: str) -> MakeBus:
    return lambda: RedisBus(redis_url)


@pytest.fixture
async def sender(make_bus: MakeBus) -> AsyncIterator[Bus]:
    """Bus of another process."""
    bus = make_bus()
    yield bus
    await bus.close()


@pytest.fixture(autouse=True)
def _connect_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.db.bus.base.RECONNECT_SECONDS", (0.01,))


@asynccontextmanager
async def listening(bus: Bus, *topics: str) -> AsyncIterator[Messages]:
    """Collect the messages of these topics until the block ends."""
    messages = Messages()
    for topic in topics:
        bus.subscribe(topic, messages.put_nowait)
    async with asyncio.timeout(60), bus.listening():
        await wait_until(lambda: bus.is_connected)
        yield messages
    await bus.close()


async def test_message_reaches_every_other_process(make_bus: MakeBus, sender: Bus) -> None:
    async with AsyncExitStack() as stack:
        received = [await stack.enter_async_context(listening(make_bus(), "jobs")) for _ in range(2)]
        sender.publish("jobs", "mail")
        assert [await messages.get() for messages in received] == ["mail", "mail"]


async def test_process_ignores_its_own_messages(make_bus: MakeBus, sender: Bus) -> None:
    bus = make_bus()
    async with listening(bus, "jobs") as messages:
        bus.publish("jobs", "own")
        await bus.flush()
        sender.publish("jobs", "other")
        assert await messages.get() == "other"


async def test_long_message_counts_as_lost(make_bus: MakeBus, sender: Bus) -> None:
    async with listening(make_bus(), "cache") as messages:
        sender.publish("cache", "x" * MAX_MESSAGE_BYTES)
        assert await messages.get() is None


FOREIGN = ("not JSON", "5", "null", '["a", {}, "b"]', '["a", "jobs", {}]', '["a", ["jobs"], null]', "[" * 5000)


async def test_foreign_message_is_ignored(make_bus: MakeBus, sender: Bus, caplog: pytest.LogCaptureFixture) -> None:
    bus = make_bus()
    bus.subscribe("jobs", lambda payload: json.loads(payload or ""))  # fails
    async with listening(bus, "jobs") as messages:
        for message in FOREIGN:
            await sender.send(message)
        sender.publish("jobs", "mail")
        assert await messages.get() == "mail"
    assert caplog.text.count("A message that is not of this site was ignored.") == len(FOREIGN)
    assert "A message of the topic jobs was ignored: JSONDecodeError" in caplog.text


@pytest.mark.database("postgresql")
async def test_subscribers_learn_of_a_lost_connection(
    database: Database, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(PostgreSQLBus(database.engine, direct_url(settings)), "jobs") as messages:
        async with database.writer() as session:
            listener = "datname = current_database() AND query LIKE 'LISTEN%'"
            await session.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {listener}"))  # noqa: S608 - constant
        assert await messages.get() is None
    assert "Messages of other processes are delayed: PostgreSQL: " in caplog.text


@pytest.fixture
async def silent_redis(redis_url: str) -> AsyncIterator[tuple[FaultyProxy, str]]:
    """A proxy of Redis, which a test can silence, and its URL."""
    url = make_url(redis_url)
    proxy = FaultyProxy(url.port or 0)
    async with proxy.open():
        yield proxy, str(url.set(port=proxy.port))


async def test_message_after_restart_of_redis_is_sent(silent_redis: tuple[FaultyProxy, str], redis_url: str) -> None:
    proxy, proxied_url = silent_redis
    sender = RedisBus(proxied_url)
    async with listening(RedisBus(redis_url), "jobs") as messages:
        for payload in ("before", "after"):
            sender.publish("jobs", payload)
            assert await messages.get() == payload
            proxy.cut()  # the idle connection, as a restart does
    await sender.close()


async def test_message_after_silence_of_redis_is_sent(
    silent_redis: tuple[FaultyProxy, str], redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opportune.db.bus.base.SEND_TIMEOUT_SECONDS", 0.05)
    proxy, proxied_url = silent_redis
    sender = RedisBus(proxied_url)
    async with listening(RedisBus(redis_url), "jobs") as messages:
        proxy.silence()
        sender.publish("jobs", "during")
        await sender.flush()
        proxy.cut()
        await proxy.restore()
        sender.publish("jobs", "after")
        assert await messages.get() == "after"
    await sender.close()


async def test_silent_redis_is_noticed(silent_redis: tuple[FaultyProxy, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.db.bus.redis.REDIS_CHECK_SECONDS", 0.05)
    proxy, proxied_url = silent_redis
    bus = RedisBus(proxied_url)
    async with listening(bus, "jobs") as messages:
        monkeypatch.setattr("opportune.db.bus.redis.REDIS_TIMEOUT_SECONDS", 0.2)
        proxy.silence()
        await wait_until(lambda: not bus.is_connected)
        await proxy.restore()
        assert await messages.get() is None


async def test_lost_message_does_not_fail_the_sender(caplog: pytest.LogCaptureFixture) -> None:
    bus = RedisBus(f"redis://:secret@127.0.0.1:{free_port()}/0")
    for _ in range(2):
        bus.publish("jobs")
        await bus.flush()
    await bus.close()
    assert caplog.text.count("Other processes were not notified through Redis: ") == 1
    assert "secret" not in caplog.text


SQLITE = "sqlite:///app.db"
POSTGRESQL = "postgresql://u:pw@db.example/site"
POOLER = "postgresql://u:pw@ep-x-pooler.aws.neon.tech/site?sslmode=require"


def make_settings(database_url: str, **values: object) -> Settings:
    secrets = {name: SecretStr(str(value)) if name == "cache_url" else value for name, value in values.items()}
    return settings_for(database_url).model_copy(update=secrets)


def test_bus_follows_the_settings() -> None:
    for settings, bus in (
        (make_settings(SQLITE), MemoryBus),
        (make_settings(SQLITE, cache_url="redis://cache.example/0"), RedisBus),
        (make_settings(POSTGRESQL), MemoryBus),
        (make_settings(POSTGRESQL, jobs="worker"), PostgreSQLBus),
        (make_settings(POSTGRESQL, bus="postgresql"), PostgreSQLBus),
        (make_settings(POSTGRESQL, bus="memory", jobs="worker"), MemoryBus),
        (make_settings(POOLER, jobs="worker"), MemoryBus),
    ):
        assert type(open_database(settings).bus) is bus, settings


def test_impossible_bus_is_refused() -> None:
    for settings, message in (
        (make_settings(POSTGRESQL, bus="redis"), "BUS is redis, but CACHE_URL names no Redis."),
        (make_settings(SQLITE, bus="postgresql"), "no direct URL of PostgreSQL is known. Set DATABASE_DIRECT_URL"),
        (make_settings(POOLER, bus="postgresql"), "no direct URL of PostgreSQL is known. Set DATABASE_DIRECT_URL"),
    ):
        with pytest.raises(OperatorError, match=message):
            open_database(settings)
