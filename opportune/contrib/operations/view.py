"""Pages of the status, of operations, of settings and of cached responses, and the views of this feature."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

from fastapi import FastAPI
from sqladmin import expose
from sqlalchemy import func, select
from sqlmodel import col
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.accounts.models import ApiToken, Session
from opportune.admin.authorization import SuperuserOnly
from opportune.admin.forms.admin_form import read_form_texts
from opportune.admin.log import audit
from opportune.admin.overview import read_panels
from opportune.admin.settings_table import list_displayed_settings
from opportune.admin.templates import render_page
from opportune.checks import check_secret_key, production_checks
from opportune.config.languages import SOURCE_LANGUAGE
from opportune.config.settings import Settings
from opportune.contrib.operations.appearance import AppearanceAdmin
from opportune.contrib.operations.jobs import JobAdmin
from opportune.contrib.operations.operations import find_queueable_jobs, operations_of, record_operation
from opportune.contrib.operations.page import OPERATIONS_PATH, OperationsPage, reauthentication_required
from opportune.contrib.operations.status import read_status, worst_state
from opportune.contrib.operations.upgrade import Upgrade, migration_state
from opportune.db.clock import utc_now
from opportune.errors import OperatorError
from opportune.feature import Feature
from opportune.i18n import gettext, pgettext_lazy, use_language
from opportune.jobs import management
from opportune.jobs.models import JobState
from opportune.jobs.requests import run_url
from opportune.web.cache import ALL_TAGS, Cache
from opportune.web.cache.counts import Counts
from opportune.web.rendering.flash import flash
from opportune.web.routing.router import CachedRoute

JOB_STATES = {
    JobState.HELD: pgettext_lazy("jobs", "held"),
    JobState.WAITING: pgettext_lazy("jobs", "waiting"),
    JobState.RUNNING: pgettext_lazy("jobs", "running"),
    JobState.DONE: pgettext_lazy("jobs", "done"),
    JobState.FAILED: pgettext_lazy("jobs", "failed"),
    JobState.CANCELLED: pgettext_lazy("jobs", "cancelled"),
}


class StatusAdmin(SuperuserOnly):
    """The page /admin/status, with the lights of all parts of the site."""

    name = "Status"
    icon, category = "ti ti-heartbeat", "Operations"

    @expose("/status", identity="status")
    async def show(self, request: Request) -> Response:
        groups = await read_status(request.app)
        context = {"title": self.name, "groups": groups, "state": worst_state(groups)}
        return await render_page(request, self, "operations/status.html", context)


class OperationsAdmin(OperationsPage):
    """The page /admin/operations with its buttons, and the page of the settings."""

    def is_visible(self, request: Request) -> bool:
        return True

    @expose("/operations", identity="operations")
    @reauthentication_required
    async def show(self, request: Request) -> Response:
        state = request.app.state
        async with state.database.reader(fresh=True) as session:
            jobs = await management.count_by_state(session)
            is_expired = col(Session.expires_at) <= utc_now()
            sessions = select(func.count(), func.count().filter(is_expired)).select_from(Session)
            browsers, expired = (await session.execute(sessions)).one()
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
        return await self.render(request, "operations/index.html", context)

    @expose("/operations/do/{name}", methods=["POST"], identity="operations-do")
    @reauthentication_required
    async def run(self, request: Request) -> Response:
        operation = operations_of(request.app).get(request.path_params["name"])
        if operation is None:
            raise HTTPException(404)
        try:
            flash(request, await operation(request, await read_form_texts(request)))
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
        return await self.render(request, "operations/settings.html", context)


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
    return cast("Upgrade", app.state.upgrade)


class CacheAdmin(SuperuserOnly):
    """The page /admin/cache, with the cached routes and a form to clear responses."""

    name = "Cache"
    icon, category = "ti ti-bolt", "Operations"

    @expose("/cache", methods=["GET", "POST"], identity="cache")
    async def show(self, request: Request) -> Response:
        cache: Cache = request.app.state.cache
        if request.method == "POST":
            return await self._clear(request, cache)
        routes = [route for route in request.app.router.routes if isinstance(route, CachedRoute)]
        context = {
            "title": self.name,
            "cache": cache,
            "size": await cache.store.size(),
            "routes": routes,
            "total": sum((route.counts for route in routes), Counts()),
            "tags": sorted({tag for route in routes for tag in route.rule.tags}),
        }
        return await render_page(request, self, "operations/cache.html", context)

    @staticmethod
    async def _clear(request: Request, cache: Cache) -> Response:
        """Clear the responses with the submitted tag, in the cache of all processes."""
        tag = str((await read_form_texts(request)).get("tag", "")).strip()
        if tag:
            async with request.app.state.database.writer() as session:
                audit.record(session, request, "clear", "cache", title=tag)
            await cache.clear(tag)
            result = gettext("Responses with the tag “%(tag)s” were cleared.", tag=tag)
            flash(request, "The cache was cleared." if tag == ALL_TAGS else result)
        else:
            flash(request, "Enter the tag of the responses to clear.", "danger")
        return RedirectResponse(request.url_for("admin:view-cache"), 303)


VIEWS = (StatusAdmin, OperationsAdmin, JobAdmin, CacheAdmin, AppearanceAdmin)
"""Views of this feature, in the order of the menu."""
