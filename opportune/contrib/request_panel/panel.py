"""Registration of the panel's middleware, pages and listeners in a site."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from fastapi import FastAPI
from starlette.middleware import Middleware

from opportune.contrib.request_panel import pages
from opportune.contrib.request_panel.middleware import RequestPanelMiddleware, RoutingTimeMiddleware
from opportune.contrib.request_panel.recording import (
    QueuedJobs,
    recorded_logs,
    recorded_statements,
    recorded_templates,
)
from opportune.contrib.request_panel.records import Records
from opportune.services.observers import observed_by
from opportune.web.rendering.templates import templates
from opportune.web.routing.router import router_of


def panel_middleware(app: FastAPI) -> Iterator[Middleware]:
    app.state.request_records = Records(app.state.settings)
    yield Middleware(RequestPanelMiddleware, records=app.state.request_records)


def add_pages(app: FastAPI) -> None:
    app.user_middleware.append(Middleware(RoutingTimeMiddleware))
    router_of(app).include_pages(pages.router)


@contextmanager
def recorded_requests(app: FastAPI) -> Iterator[None]:
    """Record what requests do until the block ends."""
    mask = app.state.request_records.mask
    with ExitStack() as stack:
        stack.enter_context(recorded_statements(app.state.database, mask))
        stack.enter_context(recorded_templates(templates.environment))
        stack.enter_context(recorded_logs(mask))
        stack.enter_context(observed_by(QueuedJobs(mask)))
        yield
