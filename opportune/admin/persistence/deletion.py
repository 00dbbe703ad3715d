"""Deleting rows: what goes with them is shown first."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.admin.authorization import may_list
from opportune.admin.errors import ValidationRefused
from opportune.admin.lists.actions import (
    Selection,
    confirmation_page,
    list_url,
    primary_key_in,
    read_selection,
    redirect_with_error,
    selected_rows,
)
from opportune.admin.protocols import View
from opportune.db.columns import title_of
from opportune.db.deletion_impact import AffectedRows, DeletionImpact, find_deletion_impact
from opportune.runtime.counts import counted
from opportune.web.rendering.flash import flash

MAX_NAMED_ROWS = 5
"""Rows of each kind that are named."""


async def delete_page(request: Request, view: View) -> Response:
    """Asks, with all that will go; deletes when that is confirmed."""
    if not (view.can_delete and view.is_accessible(request)):
        raise HTTPException(403)
    try:
        choice = await read_selection(request, view)
    except ValidationRefused as refusal:
        return redirect_with_error(request, view, str(refusal))
    if request.method == "POST" and choice.is_confirmed:
        return await _delete(request, view, choice)
    rows = await selected_rows(request, view, choice.pks)
    if len(rows) < len(choice.pks):
        raise HTTPException(404)
    for row in rows:
        if not await view.check_can_delete(request, row):
            raise HTTPException(403)
    found = await deletion_impact(request, view, choice.pks)
    return await confirmation_page(request, view, choice, rows, title="Delete", consequences=found)


async def _delete(request: Request, view: View, choice: Selection) -> Response:
    try:
        await view.delete_rows(request, choice.pks)
    except ValidationRefused as refusal:
        return redirect_with_error(request, view, f"Nothing was deleted. {refusal}")
    flash(request, f"Deleted {counted(len(choice.pks), view.name, view.name_plural)}.")
    return RedirectResponse(list_url(request, view), 303)


async def deletion_impact(request: Request, view: View, pks: Sequence[str]) -> DeletionImpact:
    """What goes with these rows; the first are named for whoever may list them."""
    async with view.site.database.reader(fresh=True) as session:

        async def naming(model: type[Any], condition: ColumnElement[bool], count: int) -> AffectedRows:
            other = view.site.view_for_model(model)
            label = model.__name__ if other is None else other.name if count == 1 else other.name_plural
            if other is None or not await may_list(request, other):
                return AffectedRows(label, count, [])
            rows = await session.scalars(other.list_query(request).where(condition).limit(MAX_NAMED_ROWS))
            return AffectedRows(label, count, [title_of(row) for row in rows])

        return await find_deletion_impact(session, view.mapper, primary_key_in(view, pks), naming)
