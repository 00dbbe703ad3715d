"""The dashboard of the admin: charts, latest rows, health and recent actions."""

import platform
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any, cast

from fastapi import FastAPI
from sqladmin.authorization import Action
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import Request
from starlette.responses import Response

from opportune import __version__
from opportune.admin.authorization import is_superuser
from opportune.admin.extensions import AdminExtension
from opportune.admin.lists.row_keys import row_conditions
from opportune.admin.log import audit
from opportune.admin.log.history import get_action_label, get_model_label
from opportune.admin.models import AuditEntry
from opportune.admin.overview import is_listed, read_panels
from opportune.contrib.dashboard import widgets
from opportune.contrib.dashboard.checklist import read_checklist
from opportune.contrib.dashboard.latest import Counts, creation_time, read_counts, read_latest
from opportune.contrib.dashboard.layouts import Pages, may_arrange, read_pages
from opportune.contrib.dashboard.ranges import RANGES, Range, requested_range
from opportune.contrib.dashboard.shared_counts import SharedCounts, clear_counts, describe_conditions
from opportune.contrib.dashboard.widget_checks import find_widget_errors
from opportune.contrib.operations.health import Health
from opportune.errors import OperatorError
from opportune.web import is_htmx
from opportune.web.time_zone import current_zone

MAX_RECENT_ENTRIES = 8
MAX_CARDS = 6
"""Models whose latest rows the page shows. A link shows those of all models."""


class Dashboard(AdminExtension):
    """The first page of the admin. It only shows models that the user may list."""

    def __init__(self, site: Any) -> None:
        super().__init__(site)
        app: FastAPI = site.site_app
        if fault := next(find_widget_errors(app.state.features, site.views), ""):
            raise OperatorError(fault)
        self._health = Health(app)
        self.widgets = widgets.Widgets(app, site)
        self._counts: SharedCounts[list[Counts]] = SharedCounts(app, list[Counts])

    async def overview(self, request: Request) -> Response:
        async with self.site.database.reader(fresh=True) as session:
            pages = await read_pages(session, request)
        if is_htmx(request):
            return await self._render(request, "dashboard/parts.html", await self._read_parts(request, pages))
        parts = await self._read_parts(request, pages) if "complete" in request.query_params else {}
        return await self._render(request, "dashboard/index.html", await self._read_frame(request, pages) | parts)

    async def _render(self, request: Request, template: str, context: dict[str, Any]) -> Response:
        return cast("Response", await self.site.templates.TemplateResponse(request, template, context))

    async def rows_changed(self, request: Request, identities: Collection[str]) -> None:
        await clear_counts(request.app.state.cache, identities)

    def parts(self, request: Request) -> list[widgets.DeclaredWidget | widgets.Section]:
        """Return the widgets and sections that the user may see, in their default order."""
        return [*self.widgets.visible(request), *widgets.visible_sections(request, self.site)]

    async def _read_frame(self, request: Request, pages: Pages) -> dict[str, Any]:
        """Return the values of the page itself. The browser requests its parts afterwards, because they take longer."""
        views = [section.view for section in widgets.visible_sections(request, self.site) if section.view]
        setup = await _read_setup(request, pages) if is_superuser(request) else {}
        return {
            "pages": pages,
            "may_arrange": may_arrange(request),
            "has_models": bool(views),
            "has_project": any(map(widgets.is_of_project, views)),
            "range": requested_range(request),
            "ranges": RANGES,
            **setup,
        }

    async def _read_parts(self, request: Request, pages: Pages) -> dict[str, Any]:
        """Return the visible parts in their stored arrangement, with their data."""
        range_ = requested_range(request)
        sections = pages.arrangement.visible(widgets.visible_sections(request, self.site))
        types = {section.type for section in sections}
        async with self.site.database.reader(fresh=True) as session:
            cards = await self._read_cards(session, request, sections, range_)
            recent = await self._read_recent(session, request) if "recent" in types else []
        # After the session above is closed, because checks and widgets open their own sessions.
        visible_widgets = pages.arrangement.visible(self.widgets.visible(request))
        log = self.site.view_for_model(AuditEntry)
        return {
            **cards,
            "sections": sections,
            "recent": recent,
            "range": range_,
            "widgets": await self.widgets.read(request, visible_widgets, range_),
            "lights": await self._health.lights() if "health" in types else [],
            "version": f"Opportune {__version__}, Python {platform.python_version()}",
            "log": log if log and is_listed(log, request) else None,
        }

    async def _read_recent(self, session: AsyncSession, request: Request) -> list[tuple[AuditEntry, str, str]]:
        """Return the newest entries that the user may see, each with the labels of its action and its model."""
        visible = audit.visible_entries(request, self.site, Action.LIST)
        recent = []
        newest = select(AuditEntry).where(visible).order_by(col(AuditEntry.id).desc()).limit(MAX_RECENT_ENTRIES)
        for entry in await session.scalars(newest):
            view = self.site.view_by_identity(entry.identity)
            recent.append((entry, get_action_label(entry, view), get_model_label(entry, view)))
        return recent

    async def _read_cards(
        self, session: AsyncSession, request: Request, sections: Sequence[widgets.Section], range_: Range
    ) -> dict[str, Any]:
        """Read the newest rows of the first models, or of all if the URL says so."""
        views = [section.view for section in sections if section.view]
        shown = views if "all" in request.query_params else views[:MAX_CARDS]
        identities = [view.identity for view in shown]
        conditions = [describe_conditions(session, row_conditions(view, request)) for view in shown]
        times = [str(creation_time(view)) for view in shown]  # a user may not see the time of a model
        key = ("rows", range_.name, range_.first_day(), str(current_zone.get()), *identities, *conditions, *times)
        counts = await self._counts.get(key, identities, partial(read_counts, session, request, shown, range_))
        latest = await read_latest(session, request, shown, counts)
        return {"latest": latest, "counts": dict(zip(identities, counts, strict=True)), "number_of_models": len(views)}


async def _read_setup(request: Request, pages: Pages) -> dict[str, Any]:
    """Return the panels and the checklist of superusers. Pages of groups have no checklist."""
    is_overview = pages.current.group_id is None
    return {
        "checklist": await read_checklist(request, pages.dismissed) if is_overview else [],
        "panels": (await read_panels(request, "dashboard"))["top"],
    }
