"""Sections of the dashboard below its widgets: models by category, health, and recent actions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from starlette.requests import Request

from opportune.admin.authorization import is_superuser
from opportune.admin.dashboard.widgets import is_listed
from opportune.admin.protocols import Site, View
from opportune.i18n import gettext_lazy as _l


@dataclass(frozen=True)
class Section:
    key: str
    """Begins with a slash, unlike keys of widgets."""
    label: str
    type: str
    """`models`, `health` or `recent`."""
    views: Sequence[View] = ()


def visible_sections(request: Request, site: Site) -> Iterator[Section]:
    categories: dict[str, list[View]] = {}
    for view in site.views:
        if view.is_model and is_listed(view, request):
            categories.setdefault(view.category, []).append(view)
    for category, views in categories.items():
        yield Section(f"/models/{category}", category or _l("Models"), "models", views)
    if is_superuser(request):
        yield Section("/health", _l("Health"), "health")
    yield Section("/recent", _l("Recent actions"), "recent")
