"""Choice of the bus by the settings."""

from typing import Literal

from opportune.config.settings import Settings
from opportune.db.bus.base import Bus, MemoryBus
from opportune.db.bus.redis import RedisBus
from opportune.db.url.database_url import DatabaseUrl
from opportune.db.url.direct import direct_url
from opportune.errors import OperatorError


def open_bus(settings: Settings) -> Bus:
    """Return the bus of a site that does not notify through PostgreSQL."""
    if bus_kind(settings) == "redis":
        return RedisBus(settings.cache_url.get_secret_value().strip())
    return MemoryBus()


def listening_url(settings: Settings) -> DatabaseUrl | None:
    """Return the URL of PostgreSQL on which processes listen, or None if the site uses another bus."""
    return direct_url(settings) if bus_kind(settings) == "postgresql" else None


def bus_kind(settings: Settings) -> Literal["memory", "redis", "postgresql"]:
    """Return the bus of the settings.

    By default a site uses the Redis of CACHE_URL, or PostgreSQL if it has separate workers. A listening connection of
    every site would keep serverless databases awake.
    """
    if settings.bus == "auto":
        if settings.has_redis:
            return "redis"
        return "postgresql" if settings.listens_to_postgresql and _can_listen(settings) else "memory"
    if settings.bus == "redis" and not settings.has_redis:
        raise OperatorError("BUS is redis, but CACHE_URL names no Redis. Set CACHE_URL to redis://…, or change BUS.")
    if settings.bus == "postgresql" and not _can_listen(settings):
        raise OperatorError(
            "BUS is postgresql, but no direct URL of PostgreSQL is known. Set DATABASE_DIRECT_URL, or change BUS."
        )
    return settings.bus


def _can_listen(settings: Settings) -> bool:
    """Return whether a URL of PostgreSQL without a pooler is known."""
    url = direct_url(settings)
    return url.kind == "postgresql" and not url.pooled
