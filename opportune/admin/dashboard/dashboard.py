"""The dashboard of the admin: models with their row counts, charts, health, and recent actions."""

import platform
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from sqladmin.authorization import Action
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from opportune import __version__
from opportune.admin.authorization import list_models_with_permission
from opportune.admin.dashboard.health import Health
from opportune.admin.dashboard.ranges import RANGES, requested_range
from opportune.admin.dashboard.widgets import Widgets, is_listed
from opportune.admin.log import audit
from opportune.admin.log.history import get_action_label, get_model_label
from opportune.admin.models import AuditEntry
from opportune.admin.panels import read_panels
from opportune.admin.protocols import Site, View

MAX_RECENT_ENTRIES = 8

Card = tuple[View, int]


class Dashboard:
    """The context of the page. It only contains models that the user may list."""

    def __init__(self, app: FastAPI, site: Site) -> None:
        self._site = site
        self._health = Health(app)
        self.widgets = Widgets(app, site)

    async def context(self, request: Request) -> dict[str, Any]:
        listed = list_models_with_permission(request, self._site, Action.LIST)
        async with self._site.database.reader(fresh=True) as session:
            context: dict[str, Any] = {
                "groups": await self._menu_groups(session, request),
                "recent": self._with_labels(await audit.read_recent(session, listed, MAX_RECENT_ENTRIES)),
            }
        range_, widgets = requested_range(request), self.widgets.visible(request)
        context |= {"range": range_, "ranges": RANGES, "widgets": await self.widgets.read(request, widgets, range_)}
        log = self._site.view_for_model(AuditEntry)
        context["log"] = log if log and is_listed(log, request) else None
        if request.state.user.is_superuser:
            context["panels"] = (await read_panels(request, "dashboard"))["top"]
            context["lights"] = await self._health.lights()
            context["version"] = f"Opportune {__version__}, Python {platform.python_version()}"
        return context

    def _with_labels(self, entries: Sequence[AuditEntry]) -> list[tuple[AuditEntry, str, str]]:
        views = [(entry, self._site.view_by_identity(entry.identity)) for entry in entries]
        return [(entry, get_action_label(entry, view), get_model_label(entry, view)) for entry, view in views]

    async def _menu_groups(self, session: AsyncSession, request: Request) -> dict[str, list[Card]]:
        """Return the groups of the menu with their models and row counts, which one query reads."""
        views = [view for view in self._site.views if view.is_model and is_listed(view, request)]
        queries = [view.count_query(request).scalar_subquery() for view in views]
        numbers = (await session.execute(select(*queries))).one() if queries else ()
        groups: dict[str, list[Card]] = {}
        for view, number in zip(views, numbers, strict=True):
            groups.setdefault(view.category, []).append((view, number))
        return groups
