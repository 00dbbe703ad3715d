"""Pages that delete rows, and the trash: deleted rows, their restoration and permanent deletion."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqladmin.authorization import Action
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.admin.authorization import may_delete_any, may_list, may_see_history
from opportune.admin.lists import actions
from opportune.admin.lists.parameters import read_number
from opportune.admin.lists.related import list_url_of_reference
from opportune.admin.lists.row_keys import match_primary_keys, row_url
from opportune.admin.log import audit
from opportune.admin.row_writer import delete_rows
from opportune.admin.templates import render_page
from opportune.admin.views import AdminView
from opportune.db.constraint_errors import translate_database_errors
from opportune.db.models.labels import title_of
from opportune.db.models.row_ids import MAX_ID
from opportune.db.models.soft_delete import SoftDelete
from opportune.db.queries.deletion_impact import DeletionImpact, RelatedModel, find_deletion_impact
from opportune.db.queries.row_count import RowCount, read_row_count
from opportune.db.sessions.trash import deleted_rows_included, restore, with_deleted
from opportune.errors import FieldErrors
from opportune.i18n import gettext as _
from opportune.i18n import lower_name, ngettext
from opportune.pagination import page_count, select_key
from opportune.web.rendering.flash import flash

MAX_UNDO_URL_CHARS = 1_000
"""Limit of the URL of Undo, because a cookie keeps it. Deletions of more rows ask for confirmation."""
ROWS_PER_PAGE = 50


def has_trash(view: AdminView) -> bool:
    return issubclass(view.model, SoftDelete)


def may_use_trash(request: Request, view: AdminView) -> bool:
    """Return whether the user may see, restore and permanently delete rows in the trash."""
    return has_trash(view) and may_delete_any(request, view)


async def delete_page(request: Request, view: AdminView) -> Response:
    """Show the preview of a deletion, or delete the rows if the user has confirmed or can undo it."""
    if not (view.can_delete and view.is_accessible(request)):
        raise HTTPException(403)
    try:
        selection = await actions.read_selection(request, view)
    except FieldErrors as refusal:
        return actions.redirect_with_error(request, view, str(refusal))
    if request.method == "POST" and (selection.is_confirmed or _undo_url(request, view, selection)):
        return await _delete(request, view, selection)
    rows = await actions.selected_rows(request, view, selection.pks)
    if len(rows) < len(selection.pks):
        raise HTTPException(404)
    for row in rows:
        if not await view.check_can_delete(request, row):
            raise HTTPException(403)
    if issubclass(view.model, SoftDelete):
        texts: dict[str, Any] = {"question": _trash_question(view.model.keep_deleted_days)}
    else:
        texts = {"consequences": await _deletion_impact(request, view, selection.pks)}
    return await actions.show_confirmation_page(request, view, selection, rows, title=_("Delete"), **texts)


async def _delete(request: Request, view: AdminView, selection: actions.Selection) -> Response:
    try:
        await delete_rows(request, view, selection.pks)
    except FieldErrors as refusal:
        return actions.redirect_with_error(request, view, _("Nothing was deleted. %(reason)s", reason=refusal))
    rows = actions.describe_rows(view, len(selection.pks))
    trashed = _("Moved %(rows)s to the trash.", rows=rows)
    deleted = _("Deleted %(rows)s.", rows=rows)
    flash(request, trashed if has_trash(view) else deleted, undo=_undo_url(request, view, selection))
    return RedirectResponse(actions.list_url(request, view), 303)


def _trash_question(days: int | None) -> str:
    if days is None:
        return _("Move to the trash? You can restore it from there.")
    return ngettext(
        "Move to the trash? You can restore it from there for %(num)s day.",
        "Move to the trash? You can restore it from there for %(num)s days.",
        days,
    )


def _undo_url(request: Request, view: AdminView, selection: actions.Selection) -> str:
    """Return the URL that restores the rows. Empty if the model has no trash, or the URL is too long."""
    if not has_trash(view):
        return ""
    path = request.url_for("admin:restore", identity=view.identity).path
    url = f"{path}?{actions.selection_query(request, *selection.pks)}"
    return url if len(url) <= MAX_UNDO_URL_CHARS else ""


async def _deletion_impact(request: Request, view: AdminView, pks: Sequence[str]) -> DeletionImpact:
    async with view.site.database.reader(fresh=True) as session:
        return await deletion_impact(session, request, view, pks)


async def deletion_impact(
    session: AsyncSession, request: Request, view: AdminView, pks: Sequence[str], link_tables: Collection[Any] = ()
) -> DeletionImpact:
    """Return what deleting these rows does to related rows. Some are named, if the user may list them.

    Deleted rows of `link_tables` are left out.
    """

    async def describe(model: type[Any], count: int, column: str) -> RelatedModel:
        related = view.site.view_for_model(model)
        if related is None:
            return RelatedModel(model.__name__)
        label = lower_name(related.name if count == 1 else related.name_plural)
        if not await may_list(request, related):
            return RelatedModel(label)
        has_pages = related.has_permission(request, Action.DETAILS)

        def url_of(row: Any) -> str:
            return str(row_url(request, related, "details", row)) if has_pages else ""

        list_url = list_url_of_reference(request, related, column, pks[0]) if len(pks) == 1 else ""
        return RelatedModel(label, related.list_query(request), url_of, list_url)

    has_key = match_primary_keys(view, pks)
    return await find_deletion_impact(session, view.mapper, has_key, describe, title_of, link_tables)


class DeletedRow(NamedTuple):
    row: Any
    deleted_by: str
    """E-mail address of the user."""


async def trash_page(request: Request, view: AdminView) -> Response:
    """List the rows in the trash, the last deleted first."""
    _require_access(request, view)
    count = await count_deleted(request, view)
    last_page = page_count(count.number if count.is_exact else MAX_ID, ROWS_PER_PAGE)
    page = min(read_number(request, "page", 1), last_page)
    rows = _deleted_rows(request, view).order_by(_deleted_at(view).desc(), *view.pk_columns)
    listed = rows.options(*view.queries.loading(())).limit(ROWS_PER_PAGE + 1).offset((page - 1) * ROWS_PER_PAGE)
    found = await view.queries.objects(listed)
    emails = await audit.load_emails(view, (row.deleted_by_id for row in found))
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
        await _restore_rows(request, view, selection.pks)
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
        await _purge_rows(request, view, selection.pks)
    except FieldErrors as refusal:
        return _redirect(request, view, _("Nothing was deleted. %(reason)s", reason=refusal), is_error=True)
    text = _("Permanently deleted %(rows)s.", rows=actions.describe_rows(view, len(selection.pks)))
    return _redirect(request, view, text)


def _require_access(request: Request, view: AdminView) -> None:
    if not has_trash(view):
        raise HTTPException(404)
    if not may_use_trash(request, view):
        raise HTTPException(403)


async def _confirm(request: Request, view: AdminView, selection: actions.Selection) -> Response:
    found = _deleted_rows(request, view).where(match_primary_keys(view, selection.pks))
    rows = await view.queries.objects(found.options(*view.queries.loading(())))
    if len(rows) < len(selection.pks):
        raise HTTPException(404)
    impact = await _deletion_impact(request, view, selection.pks)
    title = _("Delete permanently")
    return await actions.show_confirmation_page(
        request, view, selection, rows, title=title, consequences=impact, list=_trash_url(request, view)
    )


def _trash_url(request: Request, view: AdminView) -> str:
    return str(request.url_for("admin:trash", identity=view.identity))


def _redirect(request: Request, view: AdminView, message: str, *, is_error: bool = False) -> Response:
    flash(request, message, "danger" if is_error else "success")
    is_undo = "pks" in request.query_params
    return RedirectResponse(actions.list_url(request, view) if is_undo else _trash_url(request, view), 303)


def _deleted_at(view: AdminView) -> Any:
    """Return the column with the time of deletion."""
    return view.mapper.all_orm_descriptors["deleted_at"]


def _deleted_rows(request: Request, view: AdminView) -> Select[Any]:
    """Select the rows in the trash that the user may change."""
    rows = view.list_query(request).where(_deleted_at(view).is_not(None), *view.rules.writable(request))
    return with_deleted(rows)


async def find_deleted(request: Request, view: AdminView) -> Any:
    """Return the row in the URL if it is in the trash of this user, or None."""
    if not may_use_trash(request, view):
        return None
    has_key = match_primary_keys(view, [request.path_params["pk"]])
    rows = _deleted_rows(request, view).where(has_key).options(*view.queries.loading(()))
    return next(iter(await view.queries.objects(rows)), None)


async def count_deleted(request: Request, view: AdminView) -> RowCount:
    """Count the rows in the trash that the user may change. The number of many rows is estimated."""
    async with view.session_maker() as session:
        with deleted_rows_included(session):
            keys = select_key(_deleted_rows(request, view), view.pk_columns[0])
            return await read_row_count(session, keys)


async def _restore_rows(request: Request, view: AdminView, pks: Sequence[str]) -> None:
    """Take all of these rows out of the trash or none.

    Raises:
        FieldErrors: Another row now has a value that must be unique.
    """
    with translate_database_errors(view.table):
        async with view.site.database.writer() as session:
            for row in await _lock_deleted(session, request, view, pks):
                await restore(session, row)
                audit.record_row(session, request, "restore", view.identity, row, {})


async def _purge_rows(request: Request, view: AdminView, pks: Sequence[str]) -> None:
    """Delete all of these rows permanently or none.

    Raises:
        FieldErrors: A hook refuses it, or other rows refer to a row.
    """
    with translate_database_errors(view.table, deleting=True):
        async with view.site.database.writer() as session:
            rows = await _lock_deleted(session, request, view, pks)
            with deleted_rows_included(session, purges=True):
                await view.writer(session, request).delete(rows)
    for row in rows:
        await view.after_model_delete(row, request)


async def _lock_deleted(session: AsyncSession, request: Request, view: AdminView, pks: Sequence[str]) -> Sequence[Any]:
    writer = view.writer(session, request)
    return await writer.lock_selected(_deleted_rows(request, view), pks, view.check_can_delete)
