"""Panels: parts that features add to pages of others."""

from collections.abc import Iterable
from typing import Any

from fastapi import Request
from markupsafe import Markup

from opportune.feature import Panel
from opportune.web.rendering.templates import templates


async def render_panels(request: Request, panels: Iterable[Panel | None], user: Any) -> list[Markup]:
    """Render panels in this order, with one session for all queries.

    Args:
        request: The current request.
        panels: Panels of the features. None is skipped.
        user: The user to pass to the context functions of the panels.

    Returns:
        The HTML of the panels, without blank ones.
    """
    if not (existing := [panel for panel in panels if panel]):
        return []
    async with request.app.state.database.reader() as session:
        contexts = [await panel.context(session, user) for panel in existing]
    rendered = [
        templates.render_to_string(request, panel.template, context)
        for panel, context in zip(existing, contexts, strict=True)
    ]
    return [Markup(html) for html in rendered if html.strip()]  # noqa: S704 - templates escape
