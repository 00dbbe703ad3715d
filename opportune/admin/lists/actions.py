"""Actions on the selected rows of a list, with a page that asks for confirmation."""

from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import Any, NamedTuple
from urllib.parse import urlencode

from sqladmin.authorization import custom_action
from sqlalchemy.orm import load_only
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Message

from opportune.accounts.reauthentication import get_confirmed_user
from opportune.admin.authorization import may_act, may_list
from opportune.admin.base import BaseAdminView
from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.admin_form import read_form_texts
from opportune.admin.lists.parameters import allowed_parameters, filtered_query
from opportune.admin.lists.row_keys import key_of, match_primary_keys
from opportune.admin.log import audit
from opportune.admin.sqladmin_adapter import action_question, slug_and_label
from opportune.admin.templates import render_page
from opportune.db.models.columns import key_names_of
from opportune.errors import FieldErrors
from opportune.i18n import gettext, lower_name
from opportune.i18n.formats import format_number
from opportune.web.rendering.flash import flash

MAX_ROWS_PER_ACTION = 5_000
"""Limits the time of the transaction, because all other writers wait for it on SQLite."""
MAX_NAMED_ROWS = 50
"""Maximum rows that the confirmation page and the log name one by one."""

TEMPLATE = "admin/confirm.html"

ActionEndpoint = Callable[[Request], Awaitable[Response]]


class Selection(NamedTuple):
    pks: Sequence[str]
    is_confirmed: bool
    has_other_pages: bool
    """Whether it contains rows that the user does not see."""


def selected_keys(request: Request) -> list[str]:
    """Return the keys in the query: in an action, those of all selected rows."""
    return [pk for pk in request.query_params.get("pks", "").split(",") if pk]


async def read_selection(request: Request, view: BaseAdminView) -> Selection:
    """Return the rows that a list, a link or the confirmation page has selected.

    Raises:
        ValidationRefused: No row is selected, or too many.
        HTTPException: With status 403, if all pages are selected and the user may not list them.
    """
    form_data = await read_form_texts(request)
    has_other_pages = bool(form_data.get("all"))
    if has_other_pages:
        if not await may_list(request, view):
            raise HTTPException(403)  # the number of results of a search reveals values of rows
        pks = await _all_listed_keys(request, view)
    else:
        form_pks = [*str(form_data.get("pks", "")).split(","), *map(str, form_data.getlist("pk"))]
        pks = list(dict.fromkeys([*selected_keys(request), *filter(None, form_pks)]))
    if not pks:
        raise ValidationRefused("Select at least one row.")
    if len(pks) > MAX_ROWS_PER_ACTION:
        raise ValidationRefused(
            gettext(
                "Select at most %(limit)s %(name_plural)s. Search or filter for fewer.",
                limit=format_number(MAX_ROWS_PER_ACTION),
                name_plural=lower_name(view.name_plural),
            )
        )
    return Selection(pks, bool(form_data.get("confirmed")), has_other_pages)


async def _all_listed_keys(request: Request, view: BaseAdminView) -> list[str]:
    keys = load_only(*(getattr(view.model, key) for key in key_names_of(view.mapper)))
    query = (await filtered_query(request, view)).options(keys)
    rows = await view.queries.objects(query.limit(MAX_ROWS_PER_ACTION + 1))
    return [key_of(row) for row in rows]


async def selected_rows(request: Request, view: BaseAdminView, pks: Sequence[str]) -> list[Any]:
    """Return the listed rows with these keys, with the relationships of `load`."""
    statement = view.list_query(request).where(match_primary_keys(view, pks))
    return await view.queries.objects(statement.options(*view.queries.loading(())))


def selection_query(request: Request, *pks: object) -> str:
    """Return the query string of this request with selected rows. An action then redirects to the same list.

    Args:
        request: The request for the list.
        pks: Primary keys of the rows.
    """
    params = [(name, value) for name, value in request.query_params.multi_items() if name != "pks"]
    return urlencode([*params, ("pks", ",".join(map(str, pks)))])


def list_url(request: Request, view: BaseAdminView) -> str:
    """Return the URL of the list with the search, filters, order and page of this request."""
    names = allowed_parameters(view)
    params = [(name, value) for name, value in request.query_params.multi_items() if name in names]
    url = str(request.url_for("admin:list", identity=view.identity))
    return f"{url}?{urlencode(params)}" if params else url


def redirect_with_error(request: Request, view: BaseAdminView, message: str) -> Response:
    flash(request, message, "danger")
    return RedirectResponse(list_url(request, view), 303)


def describe_rows(view: BaseAdminView, number: int) -> str:
    """Return a number of rows with the name of their model, such as "2 books"."""
    noun = lower_name(view.name if number == 1 else view.name_plural)
    return gettext("%(number)s %(noun)s", number=format_number(number), noun=noun)


def with_confirmation(action: Any, view: BaseAdminView) -> ActionEndpoint:
    """Wrap a view's method with `@action`, so that it asks for confirmation and is logged.

    It asks if the action has a question, or if all pages of a list are selected. It logs the rows, unless the action
    has written its own entries, as `apply_to_selected` does.
    """
    slug, label = slug_and_label(action)

    @wraps(action)
    async def confirm_or_run(request: Request) -> Response:
        if not may_act(request, view, custom_action(slug)):
            raise HTTPException(403)
        if slug in view._confirmed_actions:
            await get_confirmed_user(request, request.state.user)
        await request.body()  # before the form is read, so that the action can read it again
        try:
            selection = await read_selection(request, view)
            rows = await selected_rows(request, view, selection.pks[:MAX_NAMED_ROWS])
            question = action_question(view, slug)
            if not selection.is_confirmed and (question or selection.has_other_pages):
                return await show_confirmation_page(request, view, selection, rows, title=label, question=question)
            response: Response = await action(await _with_selected_keys(request, selection.pks))
        except FieldErrors as refusal:
            return redirect_with_error(request, view, str(refusal))
        if not audit.is_recorded(request):
            await _record_rows(request, view, custom_action(slug), rows, len(selection.pks) - MAX_NAMED_ROWS)
        return response

    return confirm_or_run


async def _with_selected_keys(request: Request, pks: Sequence[str]) -> Request:
    """Return this request with the rows in its query, where actions of SQLAdmin expect them."""
    body = await request.body()

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    return Request({**request.scope, "query_string": selection_query(request, *pks).encode()}, receive)


async def show_confirmation_page(
    request: Request,
    view: BaseAdminView,
    selection: Selection,
    rows: Sequence[Any],
    *,
    title: str,
    **extra_context: object,
) -> Response:
    """Render the confirmation page. `extra_context` is added to the context of the template."""
    context = {
        "title": title,
        "pks": selection.pks,
        "rows": rows[:MAX_NAMED_ROWS],
        "list": list_url(request, view),
        **extra_context,
    }
    return await render_page(request, view, TEMPLATE, context)


async def _record_rows(request: Request, view: BaseAdminView, name: str, rows: Sequence[Any], unnamed: int) -> None:
    async with view.site.database.writer() as session:
        for row in rows:
            audit.record(session, request, name, view.identity, row_id=key_of(row))
        if unnamed > 0:
            audit.record(session, request, name, view.identity, title=f"and {unnamed:,} more")
