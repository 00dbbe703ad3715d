"""Columns of a list that the user selects and orders. The parameter `columns` has their names."""

from collections.abc import Sequence

from sqladmin.authorization import Action
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.admin.base import BaseAdminView
from opportune.admin.extensions import ModelPage
from opportune.admin.forms.admin_form import read_form_texts
from opportune.admin.lists.actions import list_url_with, redirect_with_error
from opportune.db.models.columns import is_long, is_secret
from opportune.i18n import gettext

MAX_POSITION = 10_000


def listed_columns(request: Request, view: BaseAdminView) -> Sequence[str]:
    """Return the columns in the address, else those of the view.

    Raises:
        HTTPException: The list does not have one of the columns.
    """
    names = parse_columns(request.query_params.get("columns", ""))
    choices = column_choices(request, view) if names else ()
    if unknown := [name for name in names if name not in choices]:
        raise HTTPException(
            400,
            gettext("The list has no column “%(column)s”. Select its columns again.", column=unknown[0][:60]),
        )
    return names or view.list_names


def parse_columns(text: str) -> list[str]:
    return list(dict.fromkeys(filter(None, text.split(","))))


def column_choices(request: Request, view: BaseAdminView) -> list[str]:
    """Return the columns that the user may show in the list: those of the view first, without hidden fields."""
    may_add = bool(view.column_choices) or (view.can_view_details and view.has_permission(request, Action.DETAILS))
    names = dict.fromkeys((*view.list_names, *(further_columns(view) if may_add else ())))
    return [name for name in names if not view.hides(name)]


def further_columns(view: BaseAdminView) -> list[str]:
    """Return the `column_choices` of a view. By default, the short columns of its details page."""
    names = map(view.name_of, view.column_choices) if view.column_choices else _short_details(view)
    return [name for name in names if not is_secret(name)]


def _short_details(view: BaseAdminView) -> list[str]:
    columns = view.mapper.columns
    return [name for name in view.details_names if name in columns and not is_long(columns[name])]


async def choose_columns(request: Request, view: BaseAdminView) -> Response:
    """Open the list with the columns of the submitted form."""
    form = await read_form_texts(request)
    selected, listed = form.getlist("column"), list(listed_columns(request, view))
    choices = [*listed, *(name for name in column_choices(request, view) if name not in listed)]
    places = {name: _parse_place(str(form.get(f"place-{name}", "")), place) for place, name in enumerate(choices, 1)}
    names = sorted((name for name in choices if name in selected), key=places.__getitem__)
    if "reset" in form or names == list(view.list_names):
        return RedirectResponse(list_url_with(request, view, columns=""), 303)
    if not names:
        return redirect_with_error(request, view, "Select at least one column.")
    return RedirectResponse(list_url_with(request, view, columns=",".join(names)), 303)


def _parse_place(text: str, place: int) -> tuple[int, int]:
    """Return the sort key for a typed place. A column that moves up comes before the one it meets, else behind it."""
    typed = min(int(text), MAX_POSITION) if text.isascii() and text.isdecimal() and len(text) < 6 else place
    return typed, (typed > place) - (typed < place)


COLUMN_PAGES = (ModelPage("columns", choose_columns, ["POST"], "columns"),)
