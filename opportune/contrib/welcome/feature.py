from fastapi import FastAPI

from opportune.contrib.welcome.pages import router
from opportune.feature import Feature, Site
from opportune.web.routing.router import router_of


def init_app(app: FastAPI) -> None:
    if app.state.settings.debug and not app.state.settings.is_production:
        router_of(app).include_pages(router)


welcome = Feature(
    "welcome", "First steps and the installed features at /welcome, in development.", site=Site(init_app=init_app)
)
