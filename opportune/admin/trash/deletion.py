"""Deletion of rows: its preview, and the message with Undo for rows that go to the trash."""

from collections.abc import Sequence
from typing import Any

from sqladmin.authorization import Action
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.admin.authorization import may_list
from opportune.admin.lists import actions
from opportune.admin.lists.related import list_url_of_reference
from opportune.admin.lists.row_keys import match_primary_keys, row_url
from opportune.admin.persistence.transactions import delete_rows
from opportune.admin.trash.rows import has_trash
from opportune.admin.views import AdminView
from opportune.db.models.columns import title_of
from opportune.db.models.soft_delete import SoftDelete
from opportune.db.queries.deletion_impact import DeletionImpact, RelatedModel, find_deletion_impact
from opportune.errors import FieldErrors
from opportune.i18n import gettext, ngettext
from opportune.web.rendering.flash import flash

MAX_UNDO_URL_CHARS = 1_000
"""Limit of the URL of Undo, because a cookie keeps it. Deletions of more rows ask for confirmation."""


async def delete_page(request: Request, view: AdminView) -> Response:
    """Show the preview of a deletion, or delete the rows if the user has confirmed or can undo it."""
    if not (view.can_delete and view.is_accessible(request)):
        raise HTTPException(403)
    try:
        selection = await actions.read_selection(request, view)
    except FieldErrors as refusal:
        return actions.redirect_with_error(request, view, str(refusal))
    if request.method == "POST" and (selection.is_confirmed or undo_url(request, view, selection)):
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
        texts = {"consequences": await deletion_impact(request, view, selection.pks)}
    return await actions.show_confirmation_page(request, view, selection, rows, title=gettext("Delete"), **texts)


async def _delete(request: Request, view: AdminView, selection: actions.Selection) -> Response:
    try:
        await delete_rows(request, view, selection.pks)
    except FieldErrors as refusal:
        return actions.redirect_with_error(request, view, gettext("Nothing was deleted. %(reason)s", reason=refusal))
    rows = actions.describe_rows(view, len(selection.pks))
    trashed, deleted = gettext("Moved %(rows)s to the trash.", rows=rows), gettext("Deleted %(rows)s.", rows=rows)
    message = trashed if has_trash(view) else deleted
    flash(request, message, undo=undo_url(request, view, selection))
    return RedirectResponse(actions.list_url(request, view), 303)


def _trash_question(days: int | None) -> str:
    if days is None:
        return gettext("Move to the trash? You can restore it from there.")
    return ngettext(
        "Move to the trash? You can restore it from there for %(num)s day.",
        "Move to the trash? You can restore it from there for %(num)s days.",
        days,
    )


def undo_url(request: Request, view: AdminView, selection: actions.Selection) -> str:
    """Return the URL that restores the rows. Empty if the model has no trash, or the URL is too long."""
    if not has_trash(view):
        return ""
    path = request.url_for("admin:restore", identity=view.identity).path
    url = f"{path}?{actions.selection_query(request, *selection.pks)}"
    return url if len(url) <= MAX_UNDO_URL_CHARS else ""


async def deletion_impact(request: Request, view: AdminView, pks: Sequence[str]) -> DeletionImpact:
    """Return what deleting these rows does to related rows. Some are named, if the user may list them."""

    async def describe(model: type[Any], count: int, column: str) -> RelatedModel:
        related = view.site.view_for_model(model)
        if related is None:
            return RelatedModel(model.__name__)
        label = related.name if count == 1 else related.name_plural
        if not await may_list(request, related):
            return RelatedModel(label)
        has_pages = related.has_permission(request, Action.DETAILS)

        def url_of(row: Any) -> str:
            return str(row_url(request, related, "details", row)) if has_pages else ""

        list_url = list_url_of_reference(request, related, column, pks[0]) if len(pks) == 1 else ""
        return RelatedModel(label, related.list_query(request), url_of, list_url)

    async with view.site.database.reader(fresh=True) as session:
        has_key = match_primary_keys(view, pks)
        return await find_deletion_impact(session, view.mapper, has_key, describe, title_of)
