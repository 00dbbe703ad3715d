"""Rate limits with counters in the cache, and their selection of a storage."""

import asyncio
import logging
import socket
from typing import Any, cast

import pytest
from fastapi import Depends, FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db.database import Database
from opportune.testing.plugin import settings_for
from opportune.testing.services.ports import free_port
from opportune.testing.services.redis import redis
from opportune.web import rate_limit_cache
from opportune.web.rate_limit import RateLimit, RateLimiter, TooManyRequests
from opportune.web.rate_limit_cache import CacheStorage

TWICE = RateLimit("test", 2, 100, storage="cache")
FOUR_TIMES = RateLimit("more", 4, 100, storage="cache")
NO_SESSION = cast("AsyncSession", None)
"""Only limits in the database need one."""


def storage_at(url: str) -> CacheStorage:
    return CacheStorage(settings_for("sqlite:///unused.db").model_copy(update={"cache_url": SecretStr(url)}))


def limiter_at(url: str) -> RateLimiter:
    return RateLimiter({"cache": storage_at(url)})


async def hit_repeatedly(limiter: RateLimiter, subject: str, times: int, limit: RateLimit = TWICE) -> int:
    """Return the number of allowed hits. Stop at the first refusal."""
    allowed = 0
    for _ in range(times):
        try:
            await limiter.hit(limit.by(subject))
        except TooManyRequests:
            break
        allowed += 1
    return allowed


async def test_refusal_has_retry_after() -> None:
    limiter = limiter_at("memory:")
    assert await hit_repeatedly(limiter, "ada", 3) == 2
    with pytest.raises(TooManyRequests) as refusal:
        await limiter.hit(TWICE.by("ada"))
    assert refusal.value.status_code == 429
    assert refusal.value.headers is not None
    assert 98 <= int(refusal.value.headers["Retry-After"]) <= 100
    assert refusal.value.detail == "That was too often. Try again in 2 minutes."


async def test_subjects_and_actions_are_counted_separately() -> None:
    limiter = limiter_at("memory:")
    assert [await hit_repeatedly(limiter, subject, 3) for subject in ("ada", "bob")] == [2, 2]
    await limiter.hit(FOUR_TIMES.by("ada"))


async def test_refused_hits_are_not_counted() -> None:
    limiter = RateLimiter({name: storage_at("memory:") for name in ("database", "cache")})
    await hit_repeatedly(limiter, "ada", 2)
    with pytest.raises(TooManyRequests):
        await limiter.hit(FOUR_TIMES.by("ada"), RateLimit("durable", 1).by("ada"), TWICE.by("ada"))
    assert await hit_repeatedly(limiter, "ada", 5, FOUR_TIMES) == 4


async def test_equal_hits_share_a_lock() -> None:
    async with asyncio.timeout(10), limiter_at("memory:").one_at_a_time(TWICE.by(1), TWICE.by(1)):
        pass


async def test_refund_undoes_hit() -> None:
    limiter = limiter_at("memory:")
    await hit_repeatedly(limiter, "ada", 1)
    for _ in range(3):
        await limiter.refund(NO_SESSION, TWICE.by("ada"))
    assert await hit_repeatedly(limiter, "ada", 3) == 2


@pytest.mark.database("sqlite", "postgresql")
async def test_limit_selects_storage(app: FastAPI, database: Database) -> None:
    limiter: RateLimiter = app.state.rate_limiter
    durable = RateLimit("test.durable", 1, 100)
    await limiter.hit(durable.by("ada"), TWICE.by("ada"))
    with pytest.raises(TooManyRequests):
        await limiter.hit(durable.by("ada"))
    async with database.writer() as session:
        await limiter.refund(session, durable.by("ada"), TWICE.by("ada"))
    await limiter.hit(durable.by("ada"))
    assert await hit_repeatedly(limiter, "ada", 3) == 2


async def test_limit_as_dependency_counts_address(app: FastAPI, client: AsyncClient) -> None:
    @app.get("/once", dependencies=[Depends(RateLimit("once", 1, storage="cache"))])
    async def once() -> None: ...

    responses = [await client.get("/once") for _ in range(2)]
    assert [response.status_code for response in responses] == [200, 429]
    assert 0 < int(responses[1].headers["Retry-After"]) <= 300


async def test_counters_in_memory_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit_cache, "MAX_COUNTERS_IN_MEMORY", 3)
    storage = storage_at("memory:")
    limiter, once = RateLimiter({"cache": storage}), RateLimit("test", 1, 100, storage="cache")
    for subject in ("ada", "bob", "cleo", "dan"):
        assert await hit_repeatedly(limiter, subject, 1, once) == 1
    memory: Any = storage._memory
    assert len(memory.expirations) == 3
    assert await hit_repeatedly(limiter, "dan", 1, once) == 0
    assert await hit_repeatedly(limiter, "ada", 1, once) == 1


async def test_redis_shares_counters(redis_url: str) -> None:
    processes = [limiter_at(redis_url), limiter_at(redis_url)]
    assert [await hit_repeatedly(process, "ada", 3, FOUR_TIMES) for process in processes] == [3, 1]
    await processes[0].refund(NO_SESSION, FOUR_TIMES.by("ada"))
    assert await hit_repeatedly(processes[1], "ada", 2, FOUR_TIMES) == 1
    for process in processes:
        await process.close()


async def test_unavailable_redis_falls_back_to_memory(caplog: pytest.LogCaptureFixture) -> None:
    limiter = limiter_at("redis://user:pa55word@127.0.0.1:1/0")
    with caplog.at_level(logging.WARNING):
        assert await hit_repeatedly(limiter, "ada", 3) == 2
    message = "Redis at CACHE_URL is unavailable (ConnectionError): rate limits are counted in this process."
    assert [record.message for record in caplog.records] == [message]
    assert "pa55word" not in caplog.text
    await limiter.close()


async def test_silent_redis_delays_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit_cache, "REDIS_TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(rate_limit_cache, "RETRY_AFTER_SECONDS", 3600)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        limiter = limiter_at(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        assert await hit_repeatedly(limiter, "ada", 3) == 2
        silent.setblocking(False)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()
    await limiter.close()


async def test_counters_are_shared_after_redis_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit_cache, "RETRY_AFTER_SECONDS", 0)
    port = free_port()
    processes = [limiter_at(f"redis://127.0.0.1:{port}/0") for _ in range(2)]
    assert [await hit_repeatedly(process, "ada", 2) for process in processes] == [2, 2]
    with redis(port):
        assert [await hit_repeatedly(process, "ada", 3) for process in processes] == [2, 0]
    for process in processes:
        await process.close()
