"""The first page of the admin: links to the models that the user may list, and the panels of features."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, cast

from sqladmin.authorization import Action
from starlette.requests import Request
from starlette.responses import Response

from opportune.admin.authorization import may_act

Panels = Mapping[str, Sequence[tuple[str, Mapping[str, Any]]]]
"""Template and context of each panel, by position on the page."""


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


async def read_panels(request: Request, page: str) -> Panels:
    """Return the panels that features add to the page `dashboard` or `operations`."""
    panels: dict[str, list[tuple[str, Mapping[str, Any]]]] = {"top": [], "bottom": [], "buttons": []}
    declared = chain.from_iterable(feature.admin.panels for feature in request.app.state.features)
    for panel in (panel for panel in declared if panel.page == page):
        context = await panel.context(request) if panel.context else {}
        if context is not None:  # None hides the panel
            panels[panel.position].append((panel.template, context))
    return panels
