from fastapi import FastAPI

from opportune.feature import Feature, Monitoring, Site
from opportune.web.cache.lights import cache_lights
from opportune.web.endpoints import api_docs, component_gallery, health, markdown_preview, root_files
from opportune.web.errors import debug_page
from opportune.web.routing.router import router_of
from opportune.web.static.files import CHECK_INTERVAL_SECONDS, PRODUCTION_CHECK_INTERVAL_SECONDS, STATIC_URL, assets


def init_app(app: FastAPI) -> None:
    settings = app.state.settings
    assets.site_name = settings.site_name
    assets.check_interval = PRODUCTION_CHECK_INTERVAL_SECONDS if settings.is_production else CHECK_INTERVAL_SECONDS
    app.mount(STATIC_URL, assets, name="static")
    if settings.debug:
        router_of(app).include_flat(debug_page.router)
    if not settings.is_production:
        router_of(app).include_pages(api_docs.router)
    if settings.debug and not settings.is_production:
        router_of(app).include_pages(component_gallery.router)


web = Feature(
    "web",
    "Health checks, static files and the pages of the API.",
    site=Site(routes=(health.router, root_files.router, markdown_preview.router), init_app=init_app),
    monitoring=Monitoring(status={"Server": cache_lights}),
)
