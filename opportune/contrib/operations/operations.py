"""Operations that a superuser starts with a button and that are logged."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from fastapi import FastAPI
from sqlalchemy import true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.datastructures import FormData
from starlette.requests import Request

from opportune.accounts.cleanup import delete_expired
from opportune.accounts.models import ApiToken, Session
from opportune.admin.log import audit
from opportune.contrib.operations.page import IDENTITY
from opportune.db.queries.batches import delete_in_batches
from opportune.errors import OperatorError
from opportune.i18n import gettext as _
from opportune.i18n import ngettext
from opportune.jobs import JobCall, defer, management
from opportune.mail import InvalidEmailError, render_email
from opportune.mail.delivery import send_email
from opportune.mail.factory import transport_for
from opportune.web.cache import ALL_TAGS

Change = Callable[[AsyncSession, Request], Awaitable[str]]
"""Changes rows in the transaction of the log entry, and returns a sentence about the result."""
Task = Callable[[Request, FormData], Awaitable[str]]
"""Runs outside a transaction, and returns a sentence about the result. Raises OperatorError if it fails."""
Operation = Task
"""A change, a task or a job to queue, and its log entry."""


def operations_of(app: FastAPI) -> dict[str, Operation]:
    """Return the operations of the site and of its features by name. Each is logged, also when it fails."""
    queued = {name: _queueing(name, label, call) for name, (label, call) in find_queueable_jobs(app).items()}
    of_features = (pair for feature in app.state.features for pair in feature.admin.actions.items())
    tasks = {name: partial(_run_task, name, task) for name, task in TASKS.items()}
    changes = {**queued, **CHANGES, **dict(of_features)}
    return {**tasks, **{name: partial(_run_change, name, change) for name, change in changes.items()}}


def find_queueable_jobs(app: FastAPI) -> dict[str, tuple[str, JobCall[Any]]]:
    """Return the jobs that features offer as buttons, by name: label of the button and call to queue."""
    pairs = (pair for feature in app.state.features for pair in feature.admin.operations.items())
    return {call.job.name: (label, call) for label, call in pairs}


def _queueing(name: str, label: str, call: JobCall[Any]) -> Change:
    async def queue(session: AsyncSession, _request: Request) -> str:
        defer(session, call, key=name)
        return _("Queued: %(job)s.", job=_(label))

    return queue


async def _run_change(name: str, change: Change, request: Request, _form_data: FormData) -> str:
    async with request.app.state.database.writer() as session:
        message = await change(session, request)
        audit.record(session, request, name, IDENTITY, title=message)
    return message


async def _run_task(name: str, task: Task, request: Request, form_data: FormData) -> str:
    try:
        message = await task(request, form_data)
    except OperatorError as error:
        await record_operation(request, name, _("Failed: %(error)s", error=error))
        raise
    await record_operation(request, name, message)
    return message


async def record_operation(request: Request, name: str, message: str) -> None:
    async with request.app.state.database.writer() as session:
        audit.record(session, request, name, IDENTITY, title=message)


async def retry_failed(session: AsyncSession, request: Request) -> str:
    count = await request.app.state.jobs.retry_failed(session)
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
    other_sessions = col(Session.id) != request.state.session.id
    browsers = await delete_in_batches(request.app.state.database, Session, other_sessions, skip_locked=False)
    tokens = await delete_in_batches(request.app.state.database, ApiToken, true(), skip_locked=False)
    return _(
        "%(sessions)s and %(tokens)s ended. Only this browser is signed in.",
        sessions=ngettext("%(num)s session", "%(num)s sessions", browsers),
        tokens=ngettext("%(num)s token", "%(num)s tokens", tokens),
    )


async def clear_cache(request: Request, _form_data: FormData) -> str:
    await request.app.state.cache.clear(ALL_TAGS)
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
