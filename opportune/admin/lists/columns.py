"""Columns of a list that the user selects (parameter `columns`)."""

from collections.abc import Sequence

from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.admin.authorization import may_see_details
from opportune.admin.base import BaseAdminView
from opportune.admin.forms.admin_form import read_form_texts
from opportune.admin.lists.actions import list_url, redirect_with_error
from opportune.db.models.columns import is_long
from opportune.db.models.sensitive_names import is_secret
from opportune.errors import FieldErrors
from opportune.i18n import gettext

MAX_POSITION = 10_000


def listed_columns(request: Request, view: BaseAdminView) -> Sequence[str]:
    """Return the columns in the address, else those of the view.

    Raises:
        FieldErrors: The list does not have one of the columns.
    """
    names = parse_columns(request.query_params.get("columns", ""))
    choices = column_choices(request, view) if names else ()
    if unknown := [name for name in names if name not in choices]:
        message = gettext("The list has no column “%(column)s”. Select its columns again.", column=unknown[0][:60])
        raise FieldErrors({"columns": message})
    return names or view.names.in_list


def parse_columns(text: str) -> list[str]:
    return list(dict.fromkeys(text.split(","))) if text else []


def column_choices(request: Request, view: BaseAdminView) -> list[str]:
    """Return the columns that the user may show in the list: those of the view first, without hidden fields."""
    names = [*view.names.in_list]
    if view.column_choices or may_see_details(request, view):
        names += further_columns(view)
    return [name for name in dict.fromkeys(names) if not view.names.hides(name)]


def ordered_choices(request: Request, view: BaseAdminView) -> list[str]:
    """Return the columns that the user may show, those of this list first and in its order."""
    return list(dict.fromkeys((*listed_columns(request, view), *column_choices(request, view))))


def further_columns(view: BaseAdminView) -> list[str]:
    """Return the `column_choices` of a view. By default, the short columns of its details page."""
    columns = view.mapper.columns
    short = [name for name in view.names.in_details if name in columns and not is_long(columns[name])]
    return [name for name in map(view.names.of, view.column_choices or short) if not is_secret(name)]


async def choose_columns(request: Request, view: BaseAdminView) -> Response:
    """Open the list with the columns of the submitted form."""
    form = await read_form_texts(request)
    selected = form.getlist("column")
    sort_keys = {
        name: _sort_key(str(form.get(f"place-{name}", "")), position)
        for position, name in enumerate(ordered_choices(request, view), 1)
    }
    names = sorted((name for name in sort_keys if name in selected), key=lambda name: sort_keys[name])
    url = URL(list_url(request, view)).remove_query_params(["page", "columns"])
    if "reset" in form or names == list(view.names.in_list):
        return RedirectResponse(url, 303)
    if not names:
        return redirect_with_error(request, view, "Select at least one column.")
    return RedirectResponse(url.include_query_params(columns=",".join(names)), 303)


def _sort_key(text: str, position: int) -> tuple[int, int]:
    """Return the sort key of a column by the position that the user has typed, or else by its present position.

    A column that moves up comes before the column of that position, and one that moves down behind it.
    """
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_POSITION))
    new_position = min(int(text), MAX_POSITION) if is_number else position
    if new_position == position:
        return position, 0
    return new_position, 1 if new_position > position else -1
