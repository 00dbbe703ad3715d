"""Pages of a report: the table with its chart, and files with its numbers, and the button in lists."""

from collections.abc import Mapping
from typing import ClassVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.admin.extensions import AdminExtension, ModelPage, Slot
from opportune.admin.lists.actions import list_url
from opportune.admin.log import audit
from opportune.admin.models import REPORT_PARAMETER
from opportune.admin.templates import render_page
from opportune.admin.views import AdminView
from opportune.contrib.import_export.downloads import FILE_TYPES, file_response, file_type
from opportune.contrib.reports.fields import PARAMETERS, default_grouping, groupings_of, measures_of, read_selection
from opportune.contrib.reports.report import Report, read_report
from opportune.contrib.statement_limits import StatementTooLong
from opportune.errors import FieldErrors
from opportune.i18n import gettext, lower_name
from opportune.i18n import gettext_lazy as _l

MAX_SECONDS = 10.0
TOO_LONG = _l("This report takes too long. Narrow the list with filters, for example to a period.")


async def report_page(request: Request, view: AdminView) -> Response:
    if not request.query_params.get(REPORT_PARAMETER) and (key := default_grouping(view)):
        return RedirectResponse(request.url.include_query_params(**{REPORT_PARAMETER: key}), 303)
    context = await view.list_context(request)
    groupings = [*groupings_of(view)]
    report, fault = await try_report(request, view, MAX_SECONDS) if groupings else (None, "")
    context |= {
        "title": gettext("Report of %(name_plural)s", name_plural=lower_name(view.name_plural)),
        "report": report,
        "fault": fault,
        "groupings": groupings,
        "measures": measures_of(view),
        "file_types": FILE_TYPES if report and await may_export(request, view) else (),
        "kept": [(name, text) for name, text in request.query_params.multi_items() if name not in PARAMETERS],
        "list": list_url(request, view),
        "query": f"?{request.url.query}" if request.url.query else "",
    }
    return await render_page(request, view, "reports/page.html", context, 422 if fault else 200)


async def try_report(request: Request, view: AdminView, seconds: float) -> tuple[Report | None, str]:
    """Return the report that the URL describes, or a message for the user."""
    try:
        return await read_report(request, view, read_selection(view, request.query_params), seconds), ""
    except FieldErrors as error:
        return None, str(error)
    except StatementTooLong:
        return None, gettext(TOO_LONG)


async def may_export(request: Request, view: AdminView) -> bool:
    return view.can_export and await view.check_can_export(request)


async def download_page(request: Request, view: AdminView) -> Response:
    if not await may_export(request, view):
        raise HTTPException(403)
    type_ = file_type(request)
    report, fault = await try_report(request, view, MAX_SECONDS)
    if report is None:
        raise HTTPException(422, fault)
    response = await file_response(type_, f"{view.identity}-report", report.header, report.table)
    async with view.site.database.writer() as session:
        audit.record(session, request, "export", view.identity, title=f"report {type_} {request.url.query}")
    return response


class ReportsExtension(AdminExtension):
    pages = (
        ModelPage("report", report_page, ["GET"], "report"),
        ModelPage("report/{type}", download_page, ["GET"], "report-file"),
    )
    slots: ClassVar[Mapping[Slot, str]] = {"list_buttons": "reports/button.html"}
    list_parameters = PARAMETERS
