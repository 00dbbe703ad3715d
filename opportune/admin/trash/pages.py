"""Pages of the trash: deleted rows, their restoration and permanent deletion."""

from typing import Any, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.admin.authorization import may_see_history
from opportune.admin.extensions import ModelPage
from opportune.admin.lists import actions
from opportune.admin.lists.row_keys import match_primary_keys
from opportune.admin.log.audit import load_emails
from opportune.admin.templates import render_page
from opportune.admin.trash import rows as trash
from opportune.admin.trash.deletion import deletion_impact
from opportune.admin.views import AdminView
from opportune.db.models.model import MAX_ID
from opportune.errors import FieldErrors
from opportune.i18n import gettext as _
from opportune.pagination import page_count
from opportune.web.rendering.flash import flash

ROWS_PER_PAGE = 50


class DeletedRow(NamedTuple):
    row: Any
    deleted_by: str
    """E-mail address of the user."""


async def trash_page(request: Request, view: AdminView) -> Response:
    """List the rows in the trash, the last deleted first."""
    _require_access(request, view)
    count = await trash.count_deleted(request, view)
    last_page = page_count(count.number if count.is_exact else MAX_ID, ROWS_PER_PAGE)
    page = min(max(view.validate_page_number(request.query_params.get("page"), 1), 1), last_page)
    rows = trash.deleted_rows(request, view).order_by(trash.deleted_at(view).desc(), *view.pk_columns)
    listed = rows.options(*view.queries.loading(())).limit(ROWS_PER_PAGE + 1).offset((page - 1) * ROWS_PER_PAGE)
    found = await view.queries.objects(listed)
    emails = await load_emails(view, (row.deleted_by_id for row in found))
    context = {
        "rows": [DeletedRow(row, emails.get(row.deleted_by_id, "")) for row in found[:ROWS_PER_PAGE]],
        "count": count,
        "page": page,
        "has_more": len(found) > ROWS_PER_PAGE,
        "has_history": may_see_history(request, view),
        "days": getattr(view.model, "keep_deleted_days", None),
    }
    return await render_page(request, view, "admin/trash.html", context)


async def restore_from_trash(request: Request, view: AdminView) -> Response:
    """Take the selected rows out of the trash. Undo, which has them in its URL, returns to the list."""
    _require_access(request, view)
    try:
        selection = await actions.read_selection(request, view)
        await trash.restore_rows(request, view, selection.pks)
    except FieldErrors as refusal:
        return _redirect(request, view, _("Nothing was restored. %(reason)s", reason=refusal), is_error=True)
    return _redirect(request, view, _("Restored %(rows)s.", rows=actions.describe_rows(view, len(selection.pks))))


async def purge_from_trash(request: Request, view: AdminView) -> Response:
    """Delete the selected rows permanently, once the user has confirmed."""
    _require_access(request, view)
    try:
        selection = await actions.read_selection(request, view)
        if not selection.is_confirmed:
            return await _confirm(request, view, selection)
        await trash.purge_rows(request, view, selection.pks)
    except FieldErrors as refusal:
        return _redirect(request, view, _("Nothing was deleted. %(reason)s", reason=refusal), is_error=True)
    text = _("Permanently deleted %(rows)s.", rows=actions.describe_rows(view, len(selection.pks)))
    return _redirect(request, view, text)


def _require_access(request: Request, view: AdminView) -> None:
    if not trash.has_trash(view):
        raise HTTPException(404)
    if not trash.may_use_trash(request, view):
        raise HTTPException(403)


async def _confirm(request: Request, view: AdminView, selection: actions.Selection) -> Response:
    found = trash.deleted_rows(request, view).where(match_primary_keys(view, selection.pks))
    rows = await view.queries.objects(found.options(*view.queries.loading(())))
    if len(rows) < len(selection.pks):
        raise HTTPException(404)
    impact = await deletion_impact(request, view, selection.pks)
    title, trash_url = _("Delete permanently"), _trash_url(request, view)
    return await actions.show_confirmation_page(
        request, view, selection, rows, title=title, consequences=impact, list=trash_url
    )


def _trash_url(request: Request, view: AdminView) -> str:
    return str(request.url_for("admin:trash", identity=view.identity))


def _redirect(request: Request, view: AdminView, message: str, *, is_error: bool = False) -> Response:
    flash(request, message, "danger" if is_error else "success")
    is_undo = "pks" in request.query_params
    return RedirectResponse(actions.list_url(request, view) if is_undo else _trash_url(request, view), 303)


TRASH_PAGES = (
    ModelPage("trash", trash_page, ["GET"], "trash"),
    ModelPage("trash/restore", restore_from_trash, ["POST"], "restore"),
    ModelPage("trash/purge", purge_from_trash, ["POST"], "purge"),
)
"""Path below the model, function, methods and name of each route. The site also requires the permission to list."""
