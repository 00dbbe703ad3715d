"""Feature of the framework's own routes: static files, health checks, and pages for developers."""

from fastapi import FastAPI

from opportune.feature import Feature, HealthLight, Monitoring, Site
from opportune.i18n import gettext as _
from opportune.i18n import gettext_lazy as _l
from opportune.web import health, pages
from opportune.web.cache.cache import Cache
from opportune.web.cache.redis_store import FULL, RedisStore
from opportune.web.errors import debug_page
from opportune.web.routing.router import router_of
from opportune.web.static.files import CHECK_INTERVAL_SECONDS, PRODUCTION_CHECK_INTERVAL_SECONDS, STATIC_URL, assets

REDIS_HINT = _l(
    "Check that Redis runs at CACHE_URL. Until then pages are not cached, and each process counts limits for itself."
)
REDIS_FULL_HINT = _l("Give Redis more memory, or let it evict old entries: set its maxmemory-policy to allkeys-lru.")


def init_app(app: FastAPI) -> None:
    settings = app.state.settings
    assets.site_name = settings.site_name
    assets.check_interval = PRODUCTION_CHECK_INTERVAL_SECONDS if settings.is_production else CHECK_INTERVAL_SECONDS
    app.mount(STATIC_URL, assets, name="static")
    if settings.debug:
        router_of(app).include_flat(debug_page.router)
    if not settings.is_production:
        router_of(app).include_pages(pages.api_docs)
    if settings.debug and not settings.is_production:
        router_of(app).include_pages(pages.component_gallery)


async def cache_lights(app: FastAPI) -> list[HealthLight]:
    """Return the light of the cache, if processes share it."""
    cache: Cache = app.state.cache
    if not cache.store.is_shared:
        return []
    is_redis = isinstance(cache.store, RedisStore)
    label = "Redis" if is_redis else _("Cache")
    if failure := await cache.store.check():
        redis_hint = REDIS_FULL_HINT if failure == FULL else REDIS_HINT
        state = _("is not available (%(failure)s)", failure=failure)
        return [HealthLight(label, state, "fault", hint=redis_hint if is_redis else "")]
    return [HealthLight(label, _("is available"))]


web = Feature(
    "web",
    "Health checks, static files and the pages of the API.",
    site=Site(routes=(health.router, pages.router), init_app=init_app),
    monitoring=Monitoring(status={"Server": cache_lights}),
)
