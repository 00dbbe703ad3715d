"""Services that depend on the user or client of a request: page cache, rate limits and times of last use."""

from opportune.accounts.attempts import DatabaseStorage
from opportune.accounts.dependencies import get_optional_user
from opportune.accounts.sessions.last_seen import LastSeen
from opportune.feature import Feature, Process
from opportune.services import Service, Services
from opportune.web.cache import Cache, open_cache
from opportune.web.rate_limit import RateLimiter
from opportune.web.rate_limit_cache import CacheStorage


def _open_cache(services: Services) -> Cache:
    return open_cache(services, load_user=get_optional_user)


def _open_rate_limiter(services: Services) -> RateLimiter:
    database, settings = services.database, services.settings
    in_database = DatabaseStorage(database, settings)
    return RateLimiter(
        {"database": in_database, "cache": in_database if _has_machines(services) else CacheStorage(settings)}
    )


def _has_machines(services: Services) -> bool:
    """Return whether several machines may serve the site without a Redis that would count for all of them."""
    return services.database.url.kind == "postgresql" and not services.settings.has_redis


def _open_last_seen(services: Services) -> LastSeen:
    return LastSeen(services.database, services.settings)


visitors = Feature(
    "visitors",
    "The cache of pages, rate limits, and the times at which credentials were used.",
    process=Process(
        services=(
            Service("cache", Cache, _open_cache, close=Cache.close),
            Service("rate_limiter", RateLimiter, _open_rate_limiter, close=RateLimiter.close),
            Service("last_seen", LastSeen, _open_last_seen, close=LastSeen.close),
        )
    ),
)
