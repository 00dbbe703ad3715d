"""Errors of requests, jobs, the start and commands to Sentry, where SENTRY_DSN names a project there.

What is sent is put together here: kinds of errors, their first lines without what looks like an address or a key, and
the lines of code that they went through. No request, no person, no local variable, no argument, no breadcrumb.
"""

import asyncio
import logging
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from starlette.types import ASGIApp, Receive, Scope, Send

from opportune import __version__
from opportune.config.hosts import shutdown_seconds
from opportune.config.settings import Settings
from opportune.errors import OperatorError, SettingsError
from opportune.ops.telemetry import INSTALL_TELEMETRY
from opportune.ops.telemetry.routes import route_template
from opportune.runtime.observers import job_id, trace_id
from opportune.web.middleware.request_log import request_id

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

MAX_FLUSH_SECONDS = 2.0
"""Seconds at the end for what is not sent yet; less where the host gives less."""
MAX_WORDS_LENGTH = 300
MAX_SEARCHED_LENGTH = 1_000
"""Of a line that a stranger has made long, the rest is not even searched, which would hold up the whole site."""
PRIVATE = re.compile(
    r"""
    \S+@\S+                       # addresses of people, passwords in URLs
    | (?<=://)\S+                 # where something is
    | \b(?=\w*\d)[\w\-.=]{20,}    # keys and tokens
    | \b\d[\d .\-/()+]{6,}\d      # numbers of telephones, accounts, cards
    """,
    re.VERBOSE,
)
KEPT = {"event_id", "timestamp", "level", "platform", "logger", "release", "environment", "exception", "sdk"}
KEPT_OF_FRAMES = {"filename", "function", "module", "lineno", "pre_context", "context_line", "post_context", "in_app"}

_scope: ContextVar[Scope | None] = ContextVar("scope", default=None)
"""The request that this belongs to: its route is looked up if something goes wrong."""


def start_sentry(settings: Settings) -> None:
    """Report from now on what is logged as an error.

    Raises:
        SettingsError: it is not installed, or SENTRY_DSN is none.
    """
    try:
        import sentry_sdk
        from sentry_sdk.integrations.atexit import AtexitIntegration
        from sentry_sdk.integrations.dedupe import DedupeIntegration
        from sentry_sdk.integrations.logging import LoggingIntegration, ignore_logger
    except ModuleNotFoundError:
        raise SettingsError(f"SENTRY_DSN needs Sentry's SDK. Install it: {INSTALL_TELEMETRY}") from None
    if sentry_sdk.is_initialized():
        return
    try:
        sentry_sdk.init(
            dsn=settings.sentry_dsn.get_secret_value(),
            release=os.environ.get("SENTRY_RELEASE") or f"opportune@{__version__}",
            environment=settings.environment,
            server_name="",
            include_local_variables=False,
            max_request_body_size="never",
            max_breadcrumbs=0,
            auto_session_tracking=False,
            send_client_reports=False,
            default_integrations=False,
            auto_enabling_integrations=False,
            integrations=[
                LoggingIntegration(level=None, event_level=logging.ERROR, sentry_logs_level=None),
                DedupeIntegration(),
                AtexitIntegration(callback=lambda _pending, _timeout: None),
            ],
            shutdown_timeout=min(MAX_FLUSH_SECONDS, shutdown_seconds() / 3),
            before_send=scrub,
        )
    except sentry_sdk.utils.BadDsn:
        raise SettingsError("SENTRY_DSN: copy it from the project's settings there, Client Keys (DSN).") from None
    ignore_logger("uvicorn.error")  # what it tells of has been told


def scrub(event: "Event", _hint: "Hint") -> "Event | None":
    """What of an event is sent."""
    told: dict[str, Any] = {name: value for name, value in event.items() if name in KEPT}
    for error in told.get("exception", {}).get("values", ()):
        error["value"] = without_private(error.get("value") or "")
        frames = error.get("stacktrace", {}).get("frames", ())
        frames[:] = [{name: value for name, value in frame.items() if name in KEPT_OF_FRAMES} for frame in frames]
    if words := (event.get("logentry") or {}).get("message"):
        # As it is written in the code, without what was put in.
        told["logentry"] = {"message": without_private(str(words))}
    scope = _scope.get()
    where = {"route": route_template(scope), "method": scope["method"]} if scope else {}
    numbers = {"request_id": request_id.get(), "trace_id": trace_id(), "job_id": str(job_id.get() or "")}
    told["tags"] = {name: value for name, value in {**where, **numbers}.items() if value}
    return cast("Event", told)  # parts of one


def without_private(words: str) -> str:
    """The first line, which of a database's error has no values, without what looks like an address or a key."""
    line = (words.splitlines() or [""])[0]
    if len(line) > MAX_SEARCHED_LENGTH:
        line = line[:MAX_SEARCHED_LENGTH].rpartition(" ")[0]  # no half of what would have been recognized
    return PRIVATE.sub("[…]", line)[:MAX_WORDS_LENGTH]


@contextmanager
def reporting() -> Iterator[None]:
    """Report what ends the block: the start of a site, a command. What its operator can mend is none of it."""
    import sentry_sdk

    try:
        yield
    except Exception as error:
        if not isinstance(error, OperatorError):
            sentry_sdk.capture_exception(error)
        raise


async def flush() -> None:
    """Send what is left, as far as the host gives time for it."""
    import sentry_sdk

    seconds = min(MAX_FLUSH_SECONDS, shutdown_seconds() / 3)
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def send() -> None:
        sentry_sdk.flush(seconds)
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=send, name="flush errors", daemon=True).start()
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await ended.wait()


def report_command(error: Exception, settings: Settings) -> None:
    """Report what has ended a command, before its process does."""
    import sentry_sdk

    start_sentry(settings)
    sentry_sdk.capture_exception(error)
    sentry_sdk.flush(MAX_FLUSH_SECONDS)


class SentryMiddleware:
    """Remembers the request, whose route an error is told with."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = _scope.set(scope if scope["type"] == "http" else None)
        try:
            await self.app(scope, receive, send)
        finally:
            _scope.reset(token)
