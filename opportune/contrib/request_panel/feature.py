from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager

from fastapi import FastAPI
from starlette.middleware import Middleware

from opportune.config.settings import Settings
from opportune.contrib.request_panel import pages
from opportune.contrib.request_panel.jobs import QueuedJobs
from opportune.contrib.request_panel.logs import recorded_logs
from opportune.contrib.request_panel.middleware import RequestPanelMiddleware, RoutingTimeMiddleware
from opportune.contrib.request_panel.records import Records
from opportune.contrib.request_panel.rendering import recorded_templates
from opportune.contrib.request_panel.statements import recorded_statements
from opportune.feature import Feature
from opportune.runtime.observers import observed_by
from opportune.web.rendering.templates import templates
from opportune.web.routing.router import router_of


def is_enabled(settings: Settings) -> bool:
    """Return whether requests are recorded. Production also refuses DEBUG=true when it starts."""
    return settings.debug and not settings.is_production


def middleware(app: FastAPI) -> Iterator[Middleware]:
    if is_enabled(app.state.settings):
        app.state.request_records = Records(app.state.settings)
        yield Middleware(RequestPanelMiddleware, records=app.state.request_records)


def init_app(app: FastAPI) -> None:
    if is_enabled(app.state.settings):
        app.user_middleware.append(Middleware(RoutingTimeMiddleware))
        router_of(app).include_pages(pages.router)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    with ExitStack() as stack:
        if is_enabled(app.state.settings):
            stack.enter_context(recorded_statements(app.state.database, app.state.request_records.mask))
            stack.enter_context(recorded_templates(templates.environment))
            stack.enter_context(recorded_logs(app.state.request_records.mask))
            stack.enter_context(observed_by(QueuedJobs(app.state.request_records.mask)))
        yield


request_panel = Feature(
    name="request_panel",
    summary="Queries, templates, jobs and log lines of the last requests at /_debug, in development.",
    middleware=middleware,
    init_app=init_app,
    lifespan=lifespan,
)
