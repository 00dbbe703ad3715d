"""Pages of the dashboard with their stored arrangements.

Superusers have the overview, and each group has a page.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import Request

from opportune.accounts.models import Group, Membership, User
from opportune.admin.authorization import has_staff_permission, is_superuser
from opportune.admin.models import DashboardLayout
from opportune.db.queries.dialects import upsert
from opportune.errors import require_found
from opportune.i18n import gettext_lazy as _l

ARRANGE = "arrange-overview"
"""Identity of the page that arranges a dashboard. With the permission `list`, members arrange pages of their groups."""
OVERVIEW = "overview"
CHECKLIST = "checklist"
"""Name of the row with the dismissed steps of the checklist."""


@dataclass(frozen=True)
class Page:
    title: str
    group_id: int | None = None
    """None for the overview of superusers."""

    @property
    def name(self) -> str:
        return OVERVIEW if self.group_id is None else f"group:{self.group_id}"

    @property
    def parameter(self) -> str:
        """Return the value of `group` in the URL."""
        return OVERVIEW if self.group_id is None else str(self.group_id)


class Part(Protocol):
    """A widget or a section of a dashboard."""

    @property
    def key(self) -> str: ...


P = TypeVar("P", bound=Part)


@dataclass(frozen=True)
class Arrangement:
    """Keys of parts, which are widgets and sections. New ones are visible, after the others."""

    order: Sequence[str] = ()
    hidden: frozenset[str] = frozenset()

    def sort(self, parts: Iterable[P]) -> list[P]:
        positions = {key: position for position, key in enumerate(self.order)}
        return sorted(parts, key=lambda part: positions.get(part.key, len(positions)))

    def visible(self, parts: Iterable[P]) -> list[P]:
        return [part for part in self.sort(parts) if part.key not in self.hidden]

    def merge(self, keys: Sequence[str], order: Sequence[str], shown: Iterable[str]) -> "Arrangement":
        """Return the arrangement after a user has arranged the parts with these keys.

        Parts that this user may not see stay as they are.
        """
        arranged = [key for key in order if key in keys]
        new = [key for key in keys if key not in arranged]
        others = [key for key in self.order if key not in keys]
        hidden = {*keys}.difference(shown) | self.hidden.difference(keys)
        return Arrangement([*dict.fromkeys(arranged), *new, *others], frozenset(hidden))


class Pages(NamedTuple):
    """The pages that a user may open, and the stored arrangement of the current one."""

    pages: Sequence[Page]
    current: Page
    first: Page
    """The page that the user sees without a parameter in the URL."""
    arrangement: Arrangement
    dismissed: Sequence[str]
    """Names of the steps of the checklist that superusers have dismissed."""


async def read_pages(session: AsyncSession, request: Request) -> Pages:
    """Read the pages of the user.

    Raises:
        NotFound: The URL names another page.
    """
    user: User = request.state.user
    pages = await _list_pages(session, user)
    stored = await _read_layouts(session, user, pages)
    choice = stored.get(f"user:{user.id}")
    first = next((page for page in pages if choice and page.group_id == choice.group_id), pages[0])
    requested = request.query_params.get("group", first.parameter)
    current = require_found(next((page for page in pages if page.parameter == requested), None))
    widgets = stored[current.name].widgets if current.name in stored else {}
    arrangement = Arrangement(widgets.get("order", ()), frozenset(widgets.get("hidden", ())))
    dismissed = stored[CHECKLIST].widgets["hidden"] if CHECKLIST in stored else ()
    return Pages(pages, current, first, arrangement, dismissed)


async def _list_pages(session: AsyncSession, user: User) -> list[Page]:
    query = select(col(Group.name), col(Group.id)).order_by(col(Group.name))
    if not user.is_superuser:
        query = query.join(Membership, col(Membership.group_id) == col(Group.id))
        query = query.where(col(Membership.user_id) == user.id)
    groups = [Page(name, group_id) for name, group_id in await session.execute(query)]
    return [Page(_l("Overview")), *groups] if user.is_superuser or not groups else groups


async def _read_layouts(session: AsyncSession, user: User, pages: Sequence[Page]) -> dict[str, DashboardLayout]:
    names = [*(page.name for page in pages), f"user:{user.id}", CHECKLIST]
    query = select(DashboardLayout).where(col(DashboardLayout.name).in_(names))
    return {layout.name: layout for layout in await session.scalars(query)}


def may_arrange(request: Request) -> bool:
    """Return whether the user may arrange the pages that they can open."""
    return is_superuser(request) or has_staff_permission(request, ARRANGE, "list")


async def save_arrangement(session: AsyncSession, page: Page, arrangement: Arrangement) -> None:
    widgets = {"order": [*arrangement.order], "hidden": sorted(arrangement.hidden)}
    await _save(session, name=page.name, group_id=page.group_id, widgets=widgets)


async def delete_arrangement(session: AsyncSession, page: Page) -> None:
    await session.execute(delete(DashboardLayout).where(col(DashboardLayout.name) == page.name))


async def save_first_page(session: AsyncSession, user: User, page: Page) -> None:
    """Store the page that the user sees first."""
    await _save(session, name=f"user:{user.id}", user_id=user.id, group_id=page.group_id, widgets={})


async def save_dismissed(session: AsyncSession, steps: Iterable[str]) -> None:
    await _save(session, name=CHECKLIST, widgets={"hidden": [*steps]})


async def _save(session: AsyncSession, **values: Any) -> None:
    insertion = upsert(session, DashboardLayout).values(values)
    await session.execute(insertion.on_conflict_do_update(index_elements=["name"], set_=values))
