"""Context of a list page for its saved views and its columns."""

from typing import Any

from starlette.requests import Request

from opportune.admin.lists.columns import column_choices, listed_columns
from opportune.admin.protocols import View
from opportune.admin.saved_views.list_state import is_same_state, read_list_state
from opportune.admin.saved_views.queries import load_saved_views
from opportune.errors import FieldErrors

PLAIN = "plain"
"""Value of the parameter `view` for the list without the user's default view."""


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
