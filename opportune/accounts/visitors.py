"""Services that depend on the user or client of a request: page cache, rate limits and times of last use."""

from fastapi import Request

from opportune.accounts.attempts import DatabaseStorage
from opportune.accounts.dependencies import get_optional_user
from opportune.accounts.flows import confirmation
from opportune.accounts.sessions.last_seen import LastSeen
from opportune.feature import Feature, Process
from opportune.services import Service, Services
from opportune.web.cache import Cache, open_cache
from opportune.web.cache.responses import Viewer
from opportune.web.rate_limit import RateLimiter
from opportune.web.rate_limit_cache import CacheStorage


def _open_rate_limiter(services: Services) -> RateLimiter:
    settings = services.settings
    in_database = DatabaseStorage(services.database, settings)
    # Several machines may serve the site, without a Redis that would count for all of them.
    has_machines = services.database.url.kind == "postgresql" and not settings.has_redis
    return RateLimiter({"database": in_database, "cache": in_database if has_machines else CacheStorage(settings)})


async def _read_viewer(request: Request) -> Viewer | None:
    """Return what a response for this visitor may depend on; None for an impersonator, whose pages have a banner."""
    user = await get_optional_user(request)
    if user is None:
        return ()
    if request.state.impersonator:
        return None
    scopes = request.state.token.scopes if request.state.token else None
    return user.id, sorted(request.state.permissions), scopes, confirmation.is_confirmed(request.state.session, user)


visitors = Feature(
    "visitors",
    "The cache of pages, rate limits, and the times at which credentials were used.",
    process=Process(
        services=(
            Service("cache", Cache, lambda services: open_cache(services, _read_viewer), close=Cache.close),
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
