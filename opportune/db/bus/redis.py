"""Bus through Redis or Valkey."""

import asyncio
from collections.abc import AsyncIterator
from importlib import import_module
from typing import TYPE_CHECKING

from opportune.db.bus.base import Bus

if TYPE_CHECKING:
    from redis.asyncio import Redis

REDIS_CHANNEL = "opportune:bus"
REDIS_TIMEOUT_SECONDS = 5.0
REDIS_CHECK_SECONDS = 30.0
"""Seconds of silence after which a listener checks its connection."""


class RedisBus(Bus):
    """Bus that publishes all messages in one channel."""

    name = "Redis"

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._redis: Redis | None = None

    async def close(self) -> None:
        await super().close()
        if self._redis:
            await self._redis.aclose()
            self._redis = None

    async def send(self, message: str) -> None:
        redis = await self._connect()
        await redis.publish(REDIS_CHANNEL, message)

    async def receive(self) -> AsyncIterator[str]:
        redis = await self._connect()
        async with redis.pubsub() as pubsub:
            await pubsub.subscribe(REDIS_CHANNEL)
            while True:
                message = await pubsub.get_message(timeout=REDIS_CHECK_SECONDS)
                if message is None:
                    await pubsub.ping()
                    message = await pubsub.get_message(timeout=REDIS_TIMEOUT_SECONDS)
                match message:
                    case None:
                        raise TimeoutError("no response")
                    case {"type": "subscribe"}:
                        yield ""  # messages from before may be lost
                    case {"type": "message", "data": str(data)}:
                        yield data

    async def _connect(self) -> "Redis":
        if self._redis is None:
            module = await asyncio.to_thread(import_module, "redis.asyncio")
            self._redis = module.Redis.from_url(
                self._url, socket_connect_timeout=REDIS_TIMEOUT_SECONDS, decode_responses=True
            )
        return self._redis
