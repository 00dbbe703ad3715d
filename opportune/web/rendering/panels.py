"""What features add to pages that are not theirs."""

from collections.abc import Iterable

from fastapi import Request
from markupsafe import Markup

from opportune.feature import Panel, Viewer
from opportune.web.rendering.templates import templates


async def render_panels(request: Request, panels: Iterable[Panel[Viewer] | None], viewer: Viewer) -> list[Markup]:
    """The HTML of each, in the order of the features, read in one session."""
    if not (wanted := [panel for panel in panels if panel]):
        return []
    async with request.app.state.database.reader() as session:
        contexts = [await panel.context(session, viewer) for panel in wanted]
    rendered = [
        templates.render_to_string(request, panel.template, context)
        for panel, context in zip(wanted, contexts, strict=True)
    ]
    return [Markup(html) for html in rendered if html.strip()]  # noqa: S704 - of templates, which escape
