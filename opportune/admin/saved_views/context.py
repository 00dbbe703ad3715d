"""Context of a list page for its saved views and its columns."""

from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request

from opportune.admin.lists.columns import column_choices, listed_columns
from opportune.admin.lists.parameters import effective_parameters
from opportune.admin.protocols import View
from opportune.admin.saved_views.list_state import is_same_state, read_list_state
from opportune.admin.saved_views.queries import load_saved_views
from opportune.errors import FieldErrors

PLAIN = "plain"
"""Value of the parameter `view` for the list without the user's default view."""


async def clean_list_url(request: Request, view: View) -> str:
    """Return the address of the list without parameters that have no effect, or an empty text if there are none."""
    params = effective_parameters(request, view)
    if params == request.query_params.multi_items():
        return ""
    if not params and (await load_saved_views(request)).default(view.identity):
        params = [("view", PLAIN)]
    return f"{request.url.path}?{urlencode(params)}" if params else request.url.path


async def saved_views_context(request: Request, view: View) -> dict[str, Any]:
    saved = await load_saved_views(request)
    columns = listed_columns(request, view)
    active = saved.find(view.identity, request.query_params.get("view", ""))
    default = saved.default(view.identity)
    state = _state_or_none(request, view)
    return {
        "columns": columns,
        "column_choices": [*columns, *(name for name in column_choices(request, view) if name not in columns)],
        "saved_views": saved.of_model(view.identity),
        "active_view": active,
        "is_active_view_changed": active is not None and not (state is not None and is_same_state(active.query, state)),
        "default_view": default,
        "can_save_view": bool(state),
        "plain_url": f"{request.url.path}?view={PLAIN}" if default else request.url.path,
    }


def _state_or_none(request: Request, view: View) -> str | None:
    try:
        return read_list_state(request, view)
    except FieldErrors:
        return None
