"""Error reports to Sentry (SENTRY_DSN) from requests, jobs, the start of the site and commands.

A report contains the type of the error, its first line without e-mail addresses and keys, and the stack trace. It
contains no request, user, local variables, arguments or breadcrumbs.
"""

import logging
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from opportune import __version__
from opportune.config.settings import Settings
from opportune.contrib.telemetry import INSTALL_TELEMETRY
from opportune.contrib.telemetry.process import flush_seconds, run_before_shutdown
from opportune.contrib.telemetry.routes import route_template
from opportune.contrib.telemetry.settings import TelemetrySettings
from opportune.db.hooks.change_origin import current_origin
from opportune.errors import OperatorError, SettingsError
from opportune.services.trace_context import job_id, trace_id
from opportune.web.middleware.request_log import request_id

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

MAX_FLUSH_SECONDS = 2.0
"""Longest time to send pending reports at shutdown."""
MAX_MESSAGE_LENGTH = 300
MAX_SEARCHED_LENGTH = 1_000
"""Length of a line that is searched for private data. Searching very long lines would block the event loop."""
PRIVATE_DATA = re.compile(
    r"""
    \S+@\S+                       # e-mail addresses, passwords in URLs
    | (?<=://)\S+                 # hosts and paths of URLs
    | \b(?=\w*\d)[\w\-.=]{20,}    # keys and tokens
    | \b\d[\d .\-/()+]{6,}\d      # numbers of telephones, accounts, cards
    """,
    re.VERBOSE,
)
EVENT_FIELDS = {"event_id", "timestamp", "level", "platform", "logger", "release", "environment", "exception", "sdk"}
FRAME_FIELDS = {"filename", "function", "module", "lineno", "pre_context", "context_line", "post_context", "in_app"}


def start_sentry(settings: Settings) -> None:
    """Report everything that is logged as an error."""
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
            dsn=settings.of(TelemetrySettings).sentry_dsn.get_secret_value(),
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
            shutdown_timeout=flush_seconds(MAX_FLUSH_SECONDS),
            before_send=scrub,
        )
    except sentry_sdk.utils.BadDsn:
        raise SettingsError("SENTRY_DSN is invalid: copy it from Sentry, Client Keys (DSN).") from None
    ignore_logger("uvicorn.error")  # logs errors a second time


def scrub(event: "Event", _hint: "Hint") -> "Event | None":
    """Reduce an event to the fields without private data."""
    report: dict[str, Any] = {name: value for name, value in event.items() if name in EVENT_FIELDS}
    for error in report.get("exception", {}).get("values", ()):
        error["value"] = remove_private_data(error.get("value") or "")
        frames = error.get("stacktrace", {}).get("frames", ())
        frames[:] = [{name: value for name, value in frame.items() if name in FRAME_FIELDS} for frame in frames]
    if template := (event.get("logentry") or {}).get("message"):  # without its arguments
        report["logentry"] = {"message": remove_private_data(str(template))}
    report["tags"] = {name: value for name, value in _tags().items() if value}
    return cast("Event", report)


def _tags() -> dict[str, str]:
    tags = {"request_id": request_id.get(), "trace_id": trace_id(), "job_id": str(job_id.get() or "")}
    origin = current_origin.get()
    if origin and origin.scope:  # a job has no scope
        tags |= {"route": route_template(origin.scope), "method": origin.scope.get("method", "WEBSOCKET")}
    return tags


def remove_private_data(text: str) -> str:
    """Return the first line without e-mail addresses, URLs, keys and numbers. Later lines can contain row values."""
    line = (text.splitlines() or [""])[0]
    if len(line) > MAX_SEARCHED_LENGTH:
        line = line[:MAX_SEARCHED_LENGTH].rpartition(" ")[0]  # half a key would not be recognized
    return PRIVATE_DATA.sub("[…]", line)[:MAX_MESSAGE_LENGTH]


@asynccontextmanager
async def errors_reported(settings: Settings) -> AsyncIterator[None]:
    """Report an exception that ends the block if SENTRY_DSN is set, then send pending reports.

    Errors for the operator are not reported.
    """
    if not settings.of(TelemetrySettings).sentry_dsn.get_secret_value():
        yield
        return
    import sentry_sdk

    start_sentry(settings)
    seconds = flush_seconds(MAX_FLUSH_SECONDS)
    try:
        yield
    except OperatorError:
        raise
    except Exception as error:
        sentry_sdk.capture_exception(error)
        raise
    finally:
        await run_before_shutdown(lambda: sentry_sdk.flush(seconds), seconds)


def report_command(error: Exception, settings: Settings) -> None:
    """Report an exception that ends a command, such as one that cron runs without a reader of its output."""
    if not settings.of(TelemetrySettings).sentry_dsn.get_secret_value():
        return
    import sentry_sdk

    start_sentry(settings)
    sentry_sdk.capture_exception(error)
    sentry_sdk.flush(MAX_FLUSH_SECONDS)
