"""Operations that a superuser starts with a button and that are logged, and the base of pages with such buttons."""

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import quote

from fastapi import FastAPI
from sqlalchemy import true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.accounts.cleanup import delete_expired
from opportune.accounts.flows.confirmation import is_confirmed
from opportune.accounts.models import ApiToken, Session
from opportune.accounts.reauthentication import CONFIRM_PATH, NOT_CHANGED_YET
from opportune.admin.authorization import SuperuserOnly
from opportune.admin.log import audit
from opportune.admin.templates import render_page
from opportune.db.queries.batches import delete_in_batches
from opportune.errors import OperatorError
from opportune.i18n import gettext as _
from opportune.i18n import ngettext
from opportune.jobs import JobCall, defer, management
from opportune.jobs.service import DatabaseJobQueue
from opportune.mail import InvalidEmailError, render_email
from opportune.mail.delivery import send_email
from opportune.mail.factory import transport_for
from opportune.web.cache import ALL_TAGS, Cache
from opportune.web.forms.hidden_fields import let_repeat
from opportune.web.rendering.flash import flash

OPERATIONS_PATH = "/admin/operations"
IDENTITY = "operations"
Change = Callable[[AsyncSession, Request], Awaitable[str]]
"""Changes rows in the transaction of the log entry, and returns a sentence about the result."""
Task = Callable[[Request, FormData], Awaitable[str]]
"""Runs outside a transaction, and returns a sentence about the result. Raises OperatorError if it fails."""

V = TypeVar("V")
Endpoint = Callable[[V, Request], Awaitable[Response]]


def reauthentication_required(endpoint: Endpoint[V]) -> Endpoint[V]:
    """Redirect to the confirmation page, unless the user has recently confirmed in this session."""

    @wraps(endpoint)
    async def confirm_first(view: V, request: Request) -> Response:
        if is_confirmed(request.state.session, request.state.user):
            return await endpoint(view, request)
        if request.method != "GET":
            flash(request, NOT_CHANGED_YET, "info")
            let_repeat(request)
        is_button = request.method != "GET" and request.url.path.startswith(OPERATIONS_PATH)
        next_path = OPERATIONS_PATH if is_button else request.url.path
        return RedirectResponse(f"{CONFIRM_PATH}?next={quote(next_path)}", 303)

    return confirm_first


class OperationsPage(SuperuserOnly):
    """Base of the pages below Operations. They have no menu entry; the entry Operations is highlighted instead."""

    name = category = "Operations"
    icon = "ti ti-tool"
    of_feature = IDENTITY

    def is_visible(self, request: Request) -> bool:
        return False

    async def render(self, request: Request, template: str, context: Mapping[str, Any]) -> Response:
        base_context = {"menu_entry": "operations", "title": self.name, "page": OPERATIONS_PATH}
        return await render_page(request, self, template, {**base_context, **context})


async def run_operation(request: Request, name: str, form_data: FormData) -> str:
    """Run an operation and log it, also when it fails.

    Raises:
        OperatorError: The operation failed.
    """
    if change := _all_changes(request.app).get(name) or _queue_operation(request, name):
        async with request.app.state.database.writer() as session:
            message = await change(session, request)
            audit.record(session, request, name, IDENTITY, title=message)
        return message
    try:
        message = await TASKS[name](request, form_data)
    except OperatorError as error:
        await record_operation(request, name, _("Failed: %(error)s", error=error))
        raise
    await record_operation(request, name, message)
    return message


def has_operation(app: FastAPI, name: str) -> bool:
    return name in {*_all_changes(app), *TASKS, *find_queueable_jobs(app)}


def _all_changes(app: FastAPI) -> dict[str, Change]:
    groups = (feature.admin.actions for feature in app.state.features)
    return {**CHANGES, **{name: change for operations in groups for name, change in operations.items()}}


def find_queueable_jobs(app: FastAPI) -> dict[str, tuple[str, JobCall[Any]]]:
    """Return the jobs that features offer as buttons, by name: label of the button and call to queue."""
    pairs = (pair for feature in app.state.features for pair in feature.admin.operations.items())
    return {call.job.name: (label, call) for label, call in pairs}


def _queue_operation(request: Request, name: str) -> Change | None:
    label, call = find_queueable_jobs(request.app).get(name, ("", None))
    if call is None:
        return None

    async def queue(session: AsyncSession, _request: Request) -> str:
        defer(session, call, key=name)
        return _("Queued: %(job)s.", job=_(label))

    return queue


async def record_operation(request: Request, name: str, message: str) -> None:
    async with request.app.state.database.writer() as session:
        audit.record(session, request, name, IDENTITY, title=message)


async def retry_failed(session: AsyncSession, request: Request) -> str:
    jobs: DatabaseJobQueue = request.app.state.jobs
    count = await jobs.retry_failed(session)
    return ngettext("%(num)s failed job queued again.", "%(num)s failed jobs queued again.", count)


async def clear_jobs(request: Request, _form_data: FormData) -> str:
    count = await management.delete_ended(request.app.state.database)
    return ngettext("%(num)s ended job cleared.", "%(num)s ended jobs cleared.", count)


async def clear_sessions(request: Request, _form_data: FormData) -> str:
    deleted = await delete_expired(request.app.state.database, request.app.state.settings)
    return ngettext(
        "%(num)s expired session or token cleared.",
        "%(num)s expired sessions and tokens cleared.",
        deleted["sessions"] + deleted["tokens"],
    )


async def sign_out_all(request: Request, _form_data: FormData) -> str:
    """End all sessions and API tokens except the session of this superuser."""
    database = request.app.state.database
    other_sessions = col(Session.id) != request.state.session.id
    browsers = await delete_in_batches(database, Session, other_sessions, skip_locked=False)
    tokens = await delete_in_batches(database, ApiToken, true(), skip_locked=False)
    return _(
        "%(sessions)s and %(tokens)s ended. Only this browser is signed in.",
        sessions=ngettext("%(num)s session", "%(num)s sessions", browsers),
        tokens=ngettext("%(num)s token", "%(num)s tokens", tokens),
    )


async def clear_cache(request: Request, _form_data: FormData) -> str:
    cache: Cache = request.app.state.cache
    await cache.clear(ALL_TAGS)
    return _("The cache was cleared.")


async def send_test_email(request: Request, form_data: FormData) -> str:
    settings = request.app.state.settings
    try:
        email = render_email(settings, str(form_data.get("to", "")).strip(), "mail/test", {})
    except InvalidEmailError as error:
        raise OperatorError(str(error)) from None
    await send_email(settings, email)
    return _("The e-mail to %(email)s went to %(server)s.", email=email.recipients, server=transport_for(settings).name)


CHANGES: Mapping[str, Change] = {"retry-failed-jobs": retry_failed}
TASKS: Mapping[str, Task] = {
    "clear-ended-jobs": clear_jobs,
    "clear-expired-sessions": clear_sessions,
    "sign-everybody-out": sign_out_all,
    "clear-cache": clear_cache,
    "send-test-email": send_test_email,
}
