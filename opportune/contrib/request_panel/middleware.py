"""Middleware that records requests, with their templates, queued jobs and log lines. It never buffers a response."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from time import perf_counter
from typing import Any

from fastapi import FastAPI
from jinja2 import Environment
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opportune.contrib.request_panel import pages, records
from opportune.contrib.request_panel.statements import recorded_statements
from opportune.mail import EmailMessage
from opportune.mail.outage import SEND_EMAIL
from opportune.services.observers import Observer, observed_by
from opportune.web.errors.debug_page import CODE_VERSION_PATH, mask_path, mask_request
from opportune.web.machine_paths import MACHINE_PATHS
from opportune.web.rendering.environment import TemplateContext
from opportune.web.rendering.templates import templates
from opportune.web.routing.root_path import path_below_root
from opportune.web.routing.router import CachedRoute, router_of

IGNORED_FOLDERS = (f"{records.PANEL_PATH}/", "/static/", "/health/", f"{CODE_VERSION_PATH}/")
MAX_DETAIL_LENGTH = 500
TEMPLATE_EXTENSION = "http.response.debug"
"""ASGI extension with which Starlette and SQLAdmin report rendered templates."""
MAX_MESSAGE_LENGTH = 500
MAX_SUBJECT_LENGTH = 200
TAB = "request_panel/tab.html"
"""Template of the panel itself, which is not recorded."""


class RequestPanelMiddleware:
    def __init__(self, app: ASGIApp, records: records.Records) -> None:
        self.app = app
        self.records = records

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = path_below_root(scope) if scope["type"] == "http" else ""
        if not path or path in MACHINE_PATHS or f"{path}/".startswith(IGNORED_FOLDERS):
            await self.app(scope, receive, send)
            return
        scope.setdefault("extensions", {}).setdefault(TEMPLATE_EXTENSION, {})
        record = records.RequestRecord(scope["method"], scope["path"], is_htmx=b"hx-request" in dict(scope["headers"]))
        scope.setdefault("state", {})["request_record"] = record
        self.records.add(record)
        token = records.set_current(record)

        async def send_recorded(message: Message) -> None:
            if message["type"] == TEMPLATE_EXTENSION:
                _add_template(record, message["info"])
                return
            if message["type"] == "http.response.start":
                _start_response(record, message)
            elif message["type"] == "http.response.body":
                record.sent_bytes += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive, send_recorded)
        finally:
            records.reset_current(token)
            record.ended = perf_counter()
            _describe(record, scope, self.records.mask)


class RoutingTimeMiddleware:
    """The innermost middleware. It notes when all others have passed the request on."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if record := records.current_record():
            record.routed = perf_counter()
        await self.app(scope, receive, send)


def _add_template(record: records.RequestRecord, info: Any) -> None:
    record.templates[info["template"].name, records.public_names(info["context"])] += 1


def _start_response(record: records.RequestRecord, message: Message) -> None:
    record.answered = perf_counter()
    record.status = message["status"]
    headers = {name.lower(): value.decode("latin-1") for name, value in message.get("headers", ())}
    record.content_type = headers.get(b"content-type", "").partition(";")[0]
    record.cache = f"Response of the cache, {headers[b'age']} s old." if b"age" in headers else ""
    timing = (
        f'total;dur={record.seconds * 1000:.1f}, sql;dur={record.sql_seconds * 1000:.1f};desc="SQL '
        f'{record.statement_count}", templates;dur={record.template_seconds * 1000:.1f}'
    )
    added = [(b"x-debug-request", record.url.encode()), (b"server-timing", timing.encode())]
    message["headers"] = [*message.get("headers", ()), *added]


def _describe(record: records.RequestRecord, scope: Scope, mask: records.PanelMask) -> None:
    """Add the route, the user and the session, which are known at the end of a request."""
    request = Request(scope)
    route = scope.get("route")
    record.path = mask_path(request)[:MAX_DETAIL_LENGTH]
    details = mask_request(request, mask.secrets)
    record.details = {name: mask.text(value, MAX_DETAIL_LENGTH) for name, value in details.items()}
    if endpoint := scope.get("endpoint") or getattr(route, "endpoint", None):
        record.endpoint = f"{getattr(endpoint, '__module__', '')}.{getattr(endpoint, '__qualname__', '')}"
    if isinstance(route, CachedRoute) and not request.app.state.cache.is_enabled:
        record.cache = f"Cached for {route.rule.seconds} s in production. The cache is off in development."
    with suppress(Exception):  # rows whose attributes have expired
        user = getattr(request.state, "user", None)
        record.user = user.email if user else ""
        session = getattr(request.state, "session", None)
        record.session = records.public_names(getattr(session, "__dict__", ()))


def panel_middleware(app: FastAPI) -> Iterator[Middleware]:
    app.state.request_records = records.Records(app.state.settings)
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


class PanelHandler(logging.Handler):
    def __init__(self, mask: records.PanelMask) -> None:
        super().__init__()
        self.mask = mask

    def emit(self, record: logging.LogRecord) -> None:
        request = records.current_record()
        if request is None:
            return
        with suppress(Exception):  # wrong arguments of a message, which the other handlers report
            error = f" ({record.exc_info[0].__name__})" if record.exc_info and record.exc_info[0] else ""
            message = self.mask.text(record.getMessage() + error, MAX_MESSAGE_LENGTH)
            request.log.add(records.LogLine(perf_counter() - request.started, record.levelname, record.name, message))


@contextmanager
def recorded_logs(mask: records.PanelMask) -> Iterator[None]:
    """Record the log lines of requests until the block ends."""
    handler = PanelHandler(mask)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


class QueuedJobs(Observer):
    def __init__(self, mask: records.PanelMask) -> None:
        self.mask = mask

    def job_queued(self, name: str, arguments: tuple[Any, ...]) -> None:
        """Record the name of a job, or recipient and subject of an e-mail. Arguments may contain secrets."""
        if record := records.current_record():
            if name == SEND_EMAIL:
                email = EmailMessage.from_json(arguments[0])
                record.emails.add(f"{email.recipients}: {self.mask.text(email.subject, MAX_SUBJECT_LENGTH)}")
            else:
                record.jobs.add(name)


class RecordedContext(TemplateContext):
    """Context of a template, recorded when rendering begins."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        record = records.current_record()
        if record and self.name and self.name != TAB and len(record.templates) < records.MAX_ENTRIES:
            record.templates[self.name, records.public_names(set(self.parent) - self.globals_keys)] += 1


@contextmanager
def recorded_templates(environment: Environment) -> Iterator[None]:
    """Record the templates that requests render until the block ends."""
    before, join = environment.context_class, environment.concat

    def concat(parts: Iterable[str]) -> str:
        """Join the parts, which renders them. Macros and blocks inside call it again."""
        record = records.current_record()
        if record is None:
            return join(parts)
        started = perf_counter()
        record.template_depth += 1
        try:
            return join(parts)
        finally:
            record.template_depth -= 1
            if not record.template_depth:
                record.template_seconds += perf_counter() - started

    environment.context_class, environment.concat = RecordedContext, concat  # type: ignore[method-assign]
    try:
        yield
    finally:
        environment.context_class, environment.concat = before, join  # type: ignore[method-assign]
