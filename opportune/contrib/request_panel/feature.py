from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, nullcontext

from fastapi import FastAPI
from starlette.middleware import Middleware

from opportune.config.settings import Settings
from opportune.contrib import request_panel as panel
from opportune.feature import Feature, Process, Site


def is_enabled(settings: Settings) -> bool:
    """Return whether requests are recorded. Production also refuses DEBUG=true when it starts."""
    return settings.debug and not settings.is_production


def middleware(app: FastAPI) -> Iterable[Middleware]:
    return panel.panel_middleware(app) if is_enabled(app.state.settings) else ()


def init_app(app: FastAPI) -> None:
    if is_enabled(app.state.settings):
        panel.add_pages(app)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    with panel.recorded_requests(app) if is_enabled(app.state.settings) else nullcontext():
        yield


request_panel = Feature(
    "request_panel",
    "Queries, templates, jobs and log lines of the last requests at /_debug, in development.",
    site=Site(middleware=middleware, is_outermost=True, init_app=init_app),
    process=Process(lifespan=lifespan),
)
