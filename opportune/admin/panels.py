"""Panels that features add to the dashboard and to the Operations page."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from starlette.requests import Request

Panels = Mapping[str, Sequence[tuple[str, Mapping[str, Any]]]]
"""Template and context of each panel, by position on the page."""


async def read_panels(request: Request, page: str) -> Panels:
    panels: dict[str, list[tuple[str, Mapping[str, Any]]]] = {"top": [], "bottom": [], "buttons": []}
    declared = chain.from_iterable(feature.admin.panels for feature in request.app.state.features)
    for panel in (panel for panel in declared if panel.page == page):
        context = await panel.context(request) if panel.context else {}
        if context is not None:  # None hides the panel
            panels[panel.position].append((panel.template, context))
    return panels
