from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware import Middleware

from opportune.config.settings import Settings
from opportune.feature import Feature, Process, Site


def is_enabled(settings: Settings) -> bool:
    """Return whether requests are recorded. Production also refuses DEBUG=true when it starts."""
    return settings.debug and not settings.is_production


def middleware(app: FastAPI) -> Iterable[Middleware]:
    if not is_enabled(app.state.settings):
        return ()
    from opportune.contrib.request_panel.panel import panel_middleware  # other sites need no panel

    return panel_middleware(app)


def init_app(app: FastAPI) -> None:
    if is_enabled(app.state.settings):
        from opportune.contrib.request_panel.panel import add_pages

        add_pages(app)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    if not is_enabled(app.state.settings):
        yield
        return
    from opportune.contrib.request_panel.panel import recorded_requests

    with recorded_requests(app):
        yield


request_panel = Feature(
    "request_panel",
    "Queries, templates, jobs and log lines of the last requests at /_debug, in development.",
    site=Site(middleware=middleware, is_outermost=True, init_app=init_app),
    process=Process(lifespan=lifespan),
)
