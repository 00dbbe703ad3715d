"""The first page of the admin: links to the models that the user may list."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqladmin.authorization import Action
from starlette.requests import Request
from starlette.responses import Response

from opportune.admin.authorization import may_act
from opportune.admin.panels import read_panels


def is_listed(view: Any, request: Request) -> bool:
    return bool(view.is_visible(request) and may_act(request, view, Action.LIST))


def listed_views(request: Request, site: Any) -> Mapping[str, Sequence[Any]]:
    """Return the views of models that the user may list, by category."""
    categories: dict[str, list[Any]] = {}
    for view in site.views:
        if view.is_model and is_listed(view, request):
            categories.setdefault(view.category, []).append(view)
    return categories


async def overview_page(request: Request, site: Any) -> Response:
    panels = (await read_panels(request, "dashboard"))["top"] if request.state.user.is_superuser else ()
    context = {"categories": listed_views(request, site), "panels": panels}
    return cast("Response", await site.templates.TemplateResponse(request, "admin/overview.html", context))
