"""Base of the pages below Operations, and pages that the user must confirm first."""

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.accounts.flows.confirmation import is_confirmed
from opportune.accounts.reauthentication import CONFIRM_PATH, NOT_CHANGED_YET
from opportune.admin.authorization import SuperuserOnly
from opportune.admin.templates import render_page
from opportune.web.forms.hidden_fields import let_repeat
from opportune.web.rendering.flash import flash
from opportune.web.routing.root_path import path_below_root

OPERATIONS_PATH = "/admin/operations"
IDENTITY = "operations"
V = TypeVar("V")
Endpoint = Callable[[V, Request], Awaitable[Response]]


def reauthentication_required(endpoint: Endpoint[V]) -> Endpoint[V]:
    """Redirect to the confirmation page, unless the user has recently confirmed in this session."""

    @wraps(endpoint)
    async def confirm_first(view: V, request: Request) -> Response:
        if is_confirmed(request.state.session, request.state.user):
            return await endpoint(view, request)
        if request.method != "GET":
            flash(request, NOT_CHANGED_YET, "info")
            let_repeat(request)
        is_button = request.method != "GET" and path_below_root(request.scope).startswith(OPERATIONS_PATH)
        next_path = OPERATIONS_PATH if is_button else request.url.path
        return RedirectResponse(f"{CONFIRM_PATH}?next={quote(next_path)}", 303)

    return confirm_first


class OperationsPage(SuperuserOnly):
    """Base of the pages below Operations. They have no menu entry; the entry Operations is highlighted instead."""

    name = category = "Operations"
    icon = "ti ti-tool"
    of_feature = IDENTITY

    def is_visible(self, request: Request) -> bool:
        return False

    async def render(self, request: Request, template: str, context: Mapping[str, Any]) -> Response:
        base_context = {"menu_entry": "operations", "title": self.name, "page": OPERATIONS_PATH}
        return await render_page(request, self, template, {**base_context, **context})
