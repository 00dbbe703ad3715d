"""Pages below /admin/operations, for superusers who have just confirmed their password."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial, wraps
from typing import Any, TypeVar, cast
from urllib.parse import quote

from fastapi import FastAPI
from markupsafe import Markup
from sqladmin import action, expose
from sqladmin.authorization import custom_action
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.accounts.models import ApiToken, Session
from opportune.accounts.reauthentication.dependencies import CONFIRM_PATH, NOT_CHANGED_YET
from opportune.accounts.reauthentication.service import is_confirmed
from opportune.admin.authorization import SuperuserOnly
from opportune.admin.forms.admin_form import read_form_texts
from opportune.admin.lists.actions import list_url
from opportune.admin.log import audit
from opportune.admin.operations.operations import find_queueable_jobs, has_operation, record_operation, run_operation
from opportune.admin.operations.settings_table import list_displayed_settings
from opportune.admin.operations.upgrade import Upgrade, migration_state
from opportune.admin.panels import read_panels
from opportune.admin.views import AdminView
from opportune.checks import check_secret_key, production_checks
from opportune.config.languages import SOURCE_LANGUAGE
from opportune.config.settings import Settings
from opportune.db.models.columns import choice_label
from opportune.db.models.model import utc_now
from opportune.errors import OperatorError
from opportune.feature import Feature
from opportune.i18n import gettext, lower_name, ngettext, pgettext_lazy, use_language
from opportune.jobs import management
from opportune.jobs.models import Job, JobState
from opportune.jobs.requests import run_url
from opportune.jobs.service import DatabaseJobQueue
from opportune.web.cache import ALL_TAGS, Cache
from opportune.web.cache.rule import Counts
from opportune.web.forms.submissions import let_repeat
from opportune.web.rendering.flash import flash
from opportune.web.routing.router import CachedRoute

OPERATIONS_PATH = "/admin/operations"

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
        next_path = request.url.path if request.method == "GET" else OPERATIONS_PATH
        return RedirectResponse(f"{CONFIRM_PATH}?next={quote(next_path)}", 303)

    return confirm_first


class OperationsPage(SuperuserOnly):
    """Base of the pages below Operations. They have no menu entry; the entry Operations is highlighted instead."""

    name = category = "Operations"
    icon = "ti ti-tool"

    def is_visible(self, request: Request) -> bool:
        return False

    async def render(self, request: Request, template: str, context: Mapping[str, Any]) -> Response:
        base_context = {"model_view": self, "menu_entry": "operations", "title": self.name, "page": OPERATIONS_PATH}
        return cast("Response", await self.templates.TemplateResponse(request, template, {**base_context, **context}))


JOB_STATES = {
    JobState.HELD: pgettext_lazy("jobs", "held"),
    JobState.WAITING: pgettext_lazy("jobs", "waiting"),
    JobState.RUNNING: pgettext_lazy("jobs", "running"),
    JobState.DONE: pgettext_lazy("jobs", "done"),
    JobState.FAILED: pgettext_lazy("jobs", "failed"),
    JobState.CANCELLED: pgettext_lazy("jobs", "cancelled"),
}


class OperationsAdmin(OperationsPage):
    def is_visible(self, request: Request) -> bool:
        return True

    @expose("/operations", identity="operations")
    @reauthentication_required
    async def show(self, request: Request) -> Response:
        state = request.app.state
        async with state.database.reader(fresh=True) as session:
            jobs = await management.count_by_state(session)
            browsers, expired = (await session.execute(_count_sessions())).one()
            tokens = await session.scalar(select(func.count()).select_from(ApiToken))
        context = {
            "migrations": await migration_state(state.database, [feature.name for feature in state.features]),
            "upgrade": _get_upgrade(request.app),
            "jobs": jobs,
            "job_states": JOB_STATES,
            "most_jobs": management.MAX_COUNTED_JOBS,
            "queueable": find_queueable_jobs(request.app),
            "browsers": browsers,
            "expired": expired,
            "tokens": tokens,
            "panels": await read_panels(request, "operations"),
            "run_url": _jobs_url(state.settings),
            "database": state.database.url,
        }
        return await self.render(request, "admin/operations.html", context)

    @expose("/operations/do/{name}", methods=["POST"], identity="operations-do")
    @reauthentication_required
    async def run(self, request: Request) -> Response:
        name = request.path_params["name"]
        if not has_operation(request.app, name):
            raise HTTPException(404)
        try:
            flash(request, await run_operation(request, name, await read_form_texts(request)))
        except OperatorError as error:
            flash(request, str(error), "danger")
        return RedirectResponse(OPERATIONS_PATH, 303)

    @expose("/operations/upgrade", methods=["POST"], identity="operations-upgrade")
    @reauthentication_required
    async def upgrade(self, request: Request) -> Response:
        upgrade = _get_upgrade(request.app)
        try:
            if await upgrade.run(partial(record_operation, request, "apply-migrations")) and upgrade.succeeded:
                flash(request, upgrade.message)
        except OperatorError as error:
            flash(request, str(error), "danger")
        return RedirectResponse(OPERATIONS_PATH, 303)

    @expose("/operations/settings", identity="operations-settings")
    @reauthentication_required
    async def settings(self, request: Request) -> Response:
        context = await asyncio.to_thread(_settings_context, request.app.state.settings, request.app.state.features)
        return await self.render(request, "admin/operations_settings.html", context)


def _settings_context(settings: Settings, features: Sequence[Feature]) -> dict[str, Any]:
    """Return the context of the settings page. It reads files, so call it in a thread."""
    feature_checks = [check for feature in features for check in feature.monitoring.checks]
    checks = [check_secret_key, *feature_checks, *production_checks(features)]
    with use_language(SOURCE_LANGUAGE):  # the page marks them as English, as `check` prints them
        findings = [finding for check in checks for finding in check(settings)]
    return {"rows": list(list_displayed_settings(settings, features)), "findings": findings}


def _jobs_url(settings: Settings) -> str:
    """Return the URL for a cron service, or an error message. Empty if jobs need no cron service."""
    if settings.jobs != "request":
        return ""
    try:
        return run_url(settings)
    except OperatorError as error:
        return str(error)


def _get_upgrade(app: FastAPI) -> Upgrade:
    """Return the upgrade of this process, which may have been started by an earlier request."""
    if not hasattr(app.state, "upgrade"):
        app.state.upgrade = Upgrade(app)
    upgrade: Upgrade = app.state.upgrade
    return upgrade


def _count_sessions() -> Any:
    is_expired = col(Session.expires_at) <= utc_now()
    return select(func.count(), func.count().filter(is_expired)).select_from(Session)


JobAction = Callable[[AsyncSession, int], Awaitable[None]]

COLOURS = {
    JobState.HELD: "secondary",
    JobState.WAITING: "cyan",
    JobState.RUNNING: "blue",
    JobState.DONE: "green",
    JobState.FAILED: "red",
    JobState.CANCELLED: "yellow",
}

ALLOWED_STATES = {"retry": management.CAN_BE_RETRIED, "cancel": management.CAN_BE_CANCELLED}

MAX_SHOWN_REFUSALS = 5
"""Maximum number of refusals to show. All flash messages share one cookie, whose size is limited."""


def _state(job: Any, _name: str) -> Markup:
    state = JobState(job.state)
    return Markup('<span class="status status-{}">{}</span>').format(COLOURS[state], lower_name(choice_label(state)))


class JobAdmin(SuperuserOnly, AdminView, model=Job):
    """Jobs, for superusers only. Arguments of jobs contain e-mails, which can contain sign-in links."""

    name, plural = "Job", "Jobs"
    columns = ("id", "state", "name", "due_at", "attempt", "remark")
    fields = (
        "id",
        "state",
        "name",
        "arguments",
        "queue",
        "group_name",
        "attempt",
        "progress",
        "error",
        "created_at",
        "due_at",
        "started_at",
        "ended_at",
        "key",
    )
    search = ("name", "error")
    filters = ("state", "queue", "created_at", "due_at")
    sort = ("id", "state", "name", "due_at", "attempt")
    column_labels = {
        "due_at": "Due",
        "group_name": "Group",
        "attempt": "Attempts",
        "progress": "Progress",
        "remark": "Progress or error",
    }
    column_formatters = column_formatters_detail = {"state": _state}
    can_create = can_edit = can_delete = False
    icon, category = "ti ti-stack-2", "Operations"

    def actions_for(self, request: Request, row: Job) -> dict[str, str]:
        """Return the actions that are possible in the state of this job."""
        actions = super().actions_for(request, row)
        return {slug: label for slug, label in actions.items() if row.state in ALLOWED_STATES[slug]}

    @action("retry", "Try again")
    async def retry(self, request: Request) -> Response:
        return await self._apply(request, "retry", _jobs(request).retry)

    @action("cancel", "Cancel", "Cancel these jobs? A running job ends at its next step.")
    async def cancel(self, request: Request) -> Response:
        return await self._apply(request, "cancel", _jobs(request).cancel)

    async def _apply(self, request: Request, slug: str, change: JobAction) -> Response:
        """Run the action on each selected job, and flash the refusals."""
        pks = request.query_params["pks"].split(",")
        ids = sorted(int(pk) for pk in pks if pk.isdecimal() and len(pk) < 20)
        refusals = []
        async with self.site.database.writer() as session:
            for job_id in ids:
                try:
                    await change(session, job_id)
                except OperatorError as error:
                    refusals.append(str(error))
                else:
                    job = await management.find_job(session, job_id)
                    audit.record_row(session, request, custom_action(slug), self.identity, job, {})
        audit.mark_recorded(request)
        if count := len(ids) - len(refusals):
            retried = ngettext("%(num)s job queued again.", "%(num)s jobs queued again.", count)
            cancelled = ngettext("%(num)s job cancelled.", "%(num)s jobs cancelled.", count)
            flash(request, retried if slug == "retry" else cancelled)
        for line in refusals[:MAX_SHOWN_REFUSALS]:
            flash(request, line, "danger")
        if more := len(refusals[MAX_SHOWN_REFUSALS:]):
            text = ngettext("%(num)s more job could not be changed.", "%(num)s more jobs could not be changed.", more)
            flash(request, text, "danger")
        return RedirectResponse(list_url(request, self), 303)


def _jobs(request: Request) -> DatabaseJobQueue:
    jobs: DatabaseJobQueue = request.app.state.jobs
    return jobs


class CacheAdmin(SuperuserOnly):
    name = "Cache"
    icon, category = "ti ti-bolt", "Operations"

    @expose("/cache", methods=["GET", "POST"], identity="cache")
    async def show(self, request: Request) -> Response:
        cache: Cache = request.app.state.cache
        if request.method == "POST":
            return await self._clear(request, cache)
        routes = [route for route in request.app.router.routes if isinstance(route, CachedRoute)]
        context = {
            "model_view": self,
            "title": self.name,
            "cache": cache,
            "size": await cache.store.size(),
            "routes": routes,
            "total": sum((route.counts for route in routes), Counts()),
            "tags": sorted({tag for route in routes for tag in route.rule.tags}),
        }
        return cast("Response", await self.templates.TemplateResponse(request, "admin/cache.html", context))

    @staticmethod
    async def _clear(request: Request, cache: Cache) -> Response:
        tag = str((await read_form_texts(request)).get("tag", "")).strip()
        if tag:
            async with request.app.state.database.writer() as session:
                audit.record(session, request, "clear", "cache", title=tag)
            await cache.clear(tag)
            flash(
                request,
                "The cache was cleared."
                if tag == ALL_TAGS
                else gettext("Responses with the tag “%(tag)s” were cleared.", tag=tag),
            )
        else:
            flash(request, "Enter the tag of the responses to clear.", "danger")
        return RedirectResponse(request.url_for("admin:view-cache"), 303)
