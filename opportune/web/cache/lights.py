"""Light of the status page for the cache."""

from fastapi import FastAPI

from opportune.feature import HealthLight
from opportune.i18n import gettext as _
from opportune.i18n import gettext_lazy as _l
from opportune.web.cache.cache import Cache
from opportune.web.cache.redis_store import FULL, RedisStore

HINT = _l(
    "Check that Redis runs at CACHE_URL. Until then pages are not cached, and each process counts limits for itself."
)
FULL_HINT = _l("Give Redis more memory, or let it evict old entries: set its maxmemory-policy to allkeys-lru.")


async def cache_lights(app: FastAPI) -> list[HealthLight]:
    """Return the light of a cache that processes share."""
    cache: Cache = app.state.cache
    if not cache.store.is_shared:
        return []
    is_redis = isinstance(cache.store, RedisStore)
    label = "Redis" if is_redis else _("Cache")
    if failure := await cache.store.check():
        hint = HINT if is_redis else ""
        if failure == FULL:
            hint = FULL_HINT
        return [HealthLight(label, _("is not available (%(failure)s)", failure=failure), "fault", hint=hint)]
    return [HealthLight(label, _("is available"))]
