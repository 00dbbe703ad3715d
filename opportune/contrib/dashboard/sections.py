"""Sections of the dashboard below the widgets: latest rows of models, health, and recent actions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from starlette.requests import Request

from opportune.accounts.models import User
from opportune.admin.authorization import is_superuser
from opportune.admin.base import BaseAdminSite
from opportune.admin.overview import listed_views
from opportune.admin.views import AdminView
from opportune.i18n import gettext_lazy as _l
from opportune.project.layout import is_framework_class


@dataclass(frozen=True)
class Section:
    """One card below the widgets."""

    key: str
    """Name in stored arrangements. It begins with a slash, unlike keys of widgets."""
    label: str
    type: str
    """`latest`, `health` or `recent`."""
    view: AdminView | None = None
    """The model whose latest rows the section shows."""


def visible_sections(request: Request, site: BaseAdminSite) -> Iterator[Section]:
    """Yield the sections that the user may see, in their default order."""
    for view in card_views(request, site):
        yield Section(f"/latest/{view.identity}", view.name_plural, "latest", view)
    if is_superuser(request):
        yield Section("/health", _l("Health"), "health")
    yield Section("/recent", _l("Recent actions"), "recent")


def card_views(request: Request, site: BaseAdminSite) -> Sequence[AdminView]:
    """Return the views of the project's models and of users; or all views, if the user may list no other."""
    views = [*chain.from_iterable(listed_views(request, site).values())]
    return [view for view in views if is_of_project(view) or view.model is User] or views


def is_of_project(view: AdminView) -> bool:
    """Return whether the project declares the model. It may also declare the model of users."""
    return view.model is not User and not is_framework_class(view.model)
