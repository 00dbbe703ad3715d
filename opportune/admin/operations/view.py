"""The pages below /admin/operations, for superusers who have just confirmed that it is them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial, wraps
from typing import Any, TypeVar, cast
from urllib.parse import quote

from fastapi import FastAPI
from sqladmin import expose
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.accounts.models import ApiToken, Session
from opportune.accounts.reauthentication.dependencies import CONFIRM_PATH, NOTHING_DONE
from opportune.accounts.reauthentication.service import is_confirmed
from opportune.admin.authorization import SuperuserOnly
from opportune.admin.forms.admin_form import read_form_texts
from opportune.admin.operations.operations import OPERATIONS, queueable_jobs, record_operation, run_operation
from opportune.admin.operations.upgrade import Upgrade, migration_state
from opportune.config.settings import Settings
from opportune.data.backup.jobs import backup_state
from opportune.db.model import utc_now
from opportune.errors import OperatorError
from opportune.feature import Feature
from opportune.jobs import management
from opportune.web.forms.submissions import let_repeat
from opportune.web.rendering.flash import flash

OPERATIONS_PATH = "/admin/operations"

V = TypeVar("V")
Answer = Callable[[V, Request], Awaitable[Response]]


def reauthentication_required(answer: Answer[V]) -> Answer[V]:
    """Answers those who have confirmed that it is them, and asks the others."""

    @wraps(answer)
    async def ask_first(view: V, request: Request) -> Response:
        if is_confirmed(request.state.session, request.state.user):
            return await answer(view, request)
        if request.method != "GET":
            flash(request, NOTHING_DONE, "info")
            let_repeat(request)
        back = request.url.path if request.method == "GET" else OPERATIONS_PATH
        return RedirectResponse(f"{CONFIRM_PATH}?next={quote(back)}", 303)

    return ask_first


class OperationsAdmin(SuperuserOnly):
    name = "Operations"
    icon, category = "ti ti-tool", "Operations"

    @expose("/operations", identity="operations")
    @reauthentication_required
    async def show(self, request: Request) -> Response:
        state = request.app.state
        names = [feature.name for feature in state.features]
        async with state.database.reader(fresh=True) as session:
            jobs = await management.counts(session)
            browsers, expired = (await session.execute(_sessions())).one()
            tokens = await session.scalar(select(func.count()).select_from(ApiToken))
            llm = await _llm(session) if "answers" in names else None
            backups = await backup_state(session, state.settings)
        context = {
            "migrations": await migration_state(state.database, names),
            "upgrade": _upgrade(request.app),
            "jobs": jobs,
            "queueable": queueable_jobs(request.app),
            "browsers": browsers,
            "expired": expired,
            "tokens": tokens,
            "llm": llm,
            "backups": backups,
            "run_url": _run_url(state.settings),
            "database": state.database.url,
        }
        return await self._page(request, "admin/operations.html", context)

    @expose("/operations/do/{name}", methods=["POST"], identity="operations-do")
    @reauthentication_required
    async def do(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in OPERATIONS and name not in queueable_jobs(request.app):
            raise HTTPException(404)
        try:
            flash(request, await run_operation(request, name, await read_form_texts(request)))
        except OperatorError as error:
            flash(request, str(error), "danger")
        return RedirectResponse(OPERATIONS_PATH, 303)

    @expose("/operations/upgrade", methods=["POST"], identity="operations-upgrade")
    @reauthentication_required
    async def upgrade(self, request: Request) -> Response:
        upgrade = _upgrade(request.app)
        try:
            if await upgrade.run(partial(record_operation, request, "apply-migrations")) and upgrade.went_well:
                flash(request, upgrade.said)
        except OperatorError as error:
            flash(request, str(error), "danger")
        return RedirectResponse(OPERATIONS_PATH, 303)

    @expose("/operations/backup", methods=["POST"], identity="operations-backup")
    @reauthentication_required
    async def backup(self, request: Request) -> Response:
        from opportune.admin.operations import backup_download  # noqa: PLC0415 - takes a while to load, for those who ask

        try:
            return await backup_download.download_backup(request)
        except OperatorError as error:
            flash(request, str(error), "danger")
            return RedirectResponse(OPERATIONS_PATH, 303)

    @expose("/operations/backups", identity="operations-backups")
    @reauthentication_required
    async def backups(self, request: Request) -> Response:
        from opportune.data.backup.store import BackupStore  # noqa: PLC0415 - as in `backup`

        settings = request.app.state.settings
        async with request.app.state.database.reader(fresh=True) as session:
            context: dict[str, Any] = {"backups": await backup_state(session, settings), "found": [], "fault": ""}
        try:
            store = BackupStore(settings)
            context |= {"place": store.label, "found": await asyncio.to_thread(store.all)}
        except OperatorError as error:
            context["fault"] = str(error)
        return await self._page(request, "admin/operations_backups.html", context)

    @expose("/operations/settings", identity="operations-settings")
    @reauthentication_required
    async def settings(self, request: Request) -> Response:
        context = await asyncio.to_thread(_look_at, request.app.state.settings, request.app.state.features)
        return await self._page(request, "admin/operations_settings.html", context)

    @expose("/operations/doctor", identity="operations-doctor")
    @reauthentication_required
    async def doctor(self, request: Request) -> Response:
        from opportune.data.doctor.context import DoctorContext  # noqa: PLC0415 - as in `backup`
        from opportune.data.doctor.diagnose import diagnose  # noqa: PLC0415 - as in `backup`

        state = request.app.state
        names = [feature.name for feature in state.features]
        context = {"diagnoses": await diagnose(DoctorContext(state.settings, names))}
        return await self._page(request, "admin/operations_doctor.html", context)

    async def _page(self, request: Request, template: str, context: dict[str, Any], status: int = 200) -> Response:
        context = {"model_view": self, "title": self.name, "page": OPERATIONS_PATH, **context}
        return cast("Response", await self.templates.TemplateResponse(request, template, context, status))


def _look_at(settings: Settings, features: Sequence[Feature]) -> dict[str, Any]:
    """Reads files: not on the loop."""
    from opportune.admin.operations.settings_table import shown_settings  # noqa: PLC0415 - as in `backup`
    from opportune.checks import PRODUCTION_CHECKS, check_llm, check_secret_key  # noqa: PLC0415 - as in `backup`

    findings = [finding for check in (check_secret_key, check_llm, *PRODUCTION_CHECKS) for finding in check(settings)]
    return {"rows": list(shown_settings(settings, features)), "findings": findings}


def _run_url(settings: Settings) -> str:
    """What a cron service calls, or why it cannot; empty where none is needed."""
    if settings.jobs != "request":
        return ""
    from opportune.jobs.requests import run_url  # noqa: PLC0415 - few hosts need it

    try:
        return run_url(settings)
    except OperatorError as error:
        return str(error)


def _upgrade(app: FastAPI) -> Upgrade:
    """The one of this process, which goes on when the page that has begun it is gone."""
    if not hasattr(app.state, "upgrade"):
        app.state.upgrade = Upgrade(app)
    upgrade: Upgrade = app.state.upgrade
    return upgrade


async def _llm(session: AsyncSession) -> dict[str, Any]:
    """Since when and by whom answers are off; None where they are on."""
    from opportune.answers.spending.switch import read_switch  # noqa: PLC0415 - sites without answers have none

    return {"off": await read_switch(session)}


def _sessions() -> Any:
    is_over = col(Session.expires_at) <= utc_now()
    return select(func.count(), func.count().filter(is_over)).select_from(Session)
