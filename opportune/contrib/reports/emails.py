"""The e-mail with a report, made with the permissions that its owner has when it is sent."""

import asyncio

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from opportune.accounts.emails import email_is_enabled
from opportune.accounts.models import User
from opportune.admin.authorization import may_list
from opportune.admin.current_request import use_request
from opportune.admin.log import audit
from opportune.admin.middleware import ADMIN_PATH
from opportune.admin.models import SavedView
from opportune.admin.site import AdminSite
from opportune.admin.views import AdminView
from opportune.context import use_value
from opportune.contrib.import_export.downloads import workbook_content
from opportune.contrib.job_admin import open_site, request_of
from opportune.contrib.reports.pages import may_export, try_report
from opportune.contrib.reports.report import Report
from opportune.contrib.saved_views.queries import restore_list_state
from opportune.i18n.languages import use_language
from opportune.jobs import JobContext
from opportune.mail import Attachment, enqueue_email, render_email
from opportune.web.time_zone import current_zone, site_zone

MAX_SECONDS = 60.0


async def send(run: JobContext, view_id: int) -> None:
    """Queue the e-mail, unless the owner is no longer a member of staff who may list the model."""
    match = await _find_recipient(run, view_id)
    if match is None:
        return
    saved, user = match
    site = await open_site(run)
    view = site.view_by_identity(saved.identity)
    if not isinstance(view, AdminView):
        return
    language = user.language or run.settings.language
    with use_value(current_zone, site_zone(run.settings)), use_language(language):
        request = await _make_request(site, view, user, saved.query)
        if request is None:
            return
        with use_request(request):
            report, fault = await try_report(request, view, MAX_SECONDS)
            workbooks = await _make_workbooks(request, view, report)
    path = f"{ADMIN_PATH}/{saved.identity}/views/{saved.id}"
    context = {"report": report, "fault": fault, "name": saved.name, "path": path}
    email = render_email(run.settings, user.email, "reports/mail", context, language=language, attachments=workbooks)

    async def enqueue(session: AsyncSession) -> None:
        if workbooks:
            audit.record(session, request, "export", view.identity, title=f"report xlsx by e-mail {request.url.query}")
        enqueue_email(session, email)

    await run.write(enqueue)


async def _find_recipient(run: JobContext, view_id: int) -> tuple[SavedView, User] | None:
    """Return the saved view and its owner; None if there is no report to send, or the owner may not get one."""
    if not email_is_enabled(run.settings):
        return None
    async with run.database.reader(fresh=True) as session:
        saved = await session.get(SavedView, view_id)
        user = await session.get(User, saved.owner_id) if saved else None
    if not saved or not user or saved.schedule == "never":
        return None
    return (saved, user) if user.is_active and user.may_enter_admin else None


async def _make_request(site: AdminSite, view: AdminView, user: User, query: str) -> Request | None:
    """Return the user's request for the report of a saved view; None if the user may not list the model."""
    path = f"{view.identity}/report"
    request = await request_of(site, user, path)
    if not await may_list(request, view):
        return None
    with use_request(request):
        params = restore_list_state(request, view, query).params
    return await request_of(site, user, path, params)


async def _make_workbooks(request: Request, view: AdminView, report: Report | None) -> list[Attachment]:
    """Return the report as an Excel workbook, if the user may export it."""
    if report is None or not await may_export(request, view):
        return []
    content = await asyncio.to_thread(workbook_content, report.header, report.table)
    return [Attachment(f"{view.identity}-report.xlsx", content)]
