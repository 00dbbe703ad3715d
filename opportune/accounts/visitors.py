"""Services that depend on the user or client of a request: page cache, rate limits and times of last use."""

from opportune.accounts.attempts import DatabaseStorage
from opportune.accounts.reauthentication import read_viewer
from opportune.accounts.sessions.last_seen import LastSeen
from opportune.feature import Feature, Process
from opportune.services import Service, Services
from opportune.web.cache import Cache, open_cache
from opportune.web.rate_limit import RateLimiter
from opportune.web.rate_limit_cache import CacheStorage


def _open_rate_limiter(services: Services) -> RateLimiter:
    database, settings = services.database, services.settings
    in_database = DatabaseStorage(database, settings)
    # Several machines may serve the site, without a Redis that would count for all of them.
    has_machines = database.url.kind == "postgresql" and not settings.has_redis
    return RateLimiter({"database": in_database, "cache": in_database if has_machines else CacheStorage(settings)})


visitors = Feature(
    "visitors",
    "The cache of pages, rate limits, and the times at which credentials were used.",
    process=Process(
        services=(
            Service("cache", Cache, lambda services: open_cache(services, read_viewer), close=Cache.close),
            Service("rate_limiter", RateLimiter, _open_rate_limiter, close=RateLimiter.close),
            Service(
                "last_seen",
                LastSeen,
                lambda services: LastSeen(services.database, services.settings),
                close=LastSeen.close,
            ),
        )
    ),
)
