"""Pages of the dashboard with their stored arrangements, and the page that arranges their widgets.

Superusers have the overview, and each group has a page.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast
from urllib.parse import urlencode

from sqladmin import BaseView, expose
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.accounts.models import Group, Membership, User
from opportune.admin.authorization import has_grant, is_superuser
from opportune.admin.dashboard.checklist import step_names
from opportune.admin.forms.admin_form import read_form_texts
from opportune.admin.log import audit
from opportune.admin.models import DashboardLayout
from opportune.admin.protocols import Site
from opportune.db.queries.upsert import upsert
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.web.rendering.flash import flash

ARRANGE = "arrange-overview"
"""Identity of the page that arranges a dashboard. A grant `list` for it lets members arrange pages of their groups."""
OVERVIEW = "overview"
CHECKLIST = "checklist"
"""Name of the row with the dismissed steps of the checklist."""


class Part(Protocol):
    """A widget or a section of the dashboard."""

    @property
    def key(self) -> str: ...
    @property
    def label(self) -> str: ...


P = TypeVar("P", bound=Part)


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
        """Return the value of `group` in the address."""
        return OVERVIEW if self.group_id is None else str(self.group_id)


@dataclass(frozen=True)
class Arrangement:
    """Keys of widgets and sections. New ones are visible, after the others."""

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
        ordered = [*dict.fromkeys((*(key for key in order if key in keys), *keys))]
        others = [key for key in self.order if key not in keys]
        hidden = {*keys} - {*shown} | {key for key in self.hidden if key not in keys}
        return Arrangement([*ordered, *others], frozenset(hidden))


@dataclass(frozen=True)
class Pages:
    """The pages that a user may open, and the stored arrangement of the current one."""

    pages: Sequence[Page]
    current: Page
    first: Page
    """The page that the user sees without a parameter in the address."""
    arrangement: Arrangement
    dismissed: Sequence[str]
    """Names of the steps of the checklist that superusers have dismissed."""


async def read_pages(session: AsyncSession, request: Request) -> Pages:
    """Read the pages of the user.

    Raises:
        HTTPException: The address names another page.
    """
    user: User = request.state.user
    pages = await _list_pages(session, user)
    stored = await _read_layouts(session, user, pages)
    choice = stored.get(f"user:{user.id}")
    first = next((page for page in pages if choice and page.group_id == choice.group_id), pages[0])
    requested = request.query_params.get("group", first.parameter)
    current = next((page for page in pages if page.parameter == requested), None)
    if current is None:
        raise HTTPException(404)
    widgets = stored[current.name].widgets if current.name in stored else {}
    arrangement = Arrangement(widgets.get("order", []), frozenset(widgets.get("hidden", [])))
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
    return is_superuser(request) or has_grant(request, ARRANGE, "list")


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


WIDGETS, SECTIONS = _l("Widgets"), _l("Sections")
MOVES = {"up": -1, "down": 1}


class ArrangeAdmin(BaseView):
    """Members of a group with access to this page arrange the group's dashboard. Superusers arrange every page."""

    name = "Arrange the overview"
    identity = ARRANGE  # SQLAdmin sets it when the admin is built, but `Feature(groups=…)` is checked before
    icon = "ti ti-layout-dashboard"
    category = "Operations"
    site: Any

    def is_visible(self, request: Request) -> bool:
        return False

    def has_permission(self, request: Request, action: str, obj: Any = None) -> bool:
        return True  # all users choose their first page; `show` checks the permission to arrange

    @expose("/arrange-overview", methods=["GET", "POST"], identity=ARRANGE)
    async def show(self, request: Request) -> Response:
        site = cast("Site", self.site)
        async with site.database.reader(fresh=True) as session:
            pages = await read_pages(session, request)
        if request.method == "POST":
            return await self._change(request, pages, await read_form_texts(request))
        if not may_arrange(request):
            raise HTTPException(403)
        parts = pages.arrangement.sort(self.site.dashboard.parts(request))
        context: dict[str, Any] = {
            "model_view": self,
            "title": self.name,
            "pages": pages,
            "zones": {name: [part for part in parts if _zone(part.key) == name] for name in (WIDGETS, SECTIONS)},
        }
        return cast("Response", await self.templates.TemplateResponse(request, "admin/arrange.html", context))

    async def _change(self, request: Request, pages: Pages, form: FormData) -> Response:
        page = pages.current
        if "first" in form:
            async with self.site.database.writer() as session:
                await save_first_page(session, request.state.user, page)
            flash(request, gettext("%(title)s is your first page now.", title=page.title))
            return RedirectResponse(f"/admin/?group={page.parameter}", 303)
        if not may_arrange(request):
            raise HTTPException(403)
        if "dismiss" in form:
            await self._dismiss(request, pages, str(form["dismiss"]))
            return RedirectResponse("/admin/", 303)
        await self._arrange(request, pages, form)
        flash(request, gettext("%(title)s was saved.", title=page.title))
        # The button that was pressed keeps the focus.
        query = urlencode({"group": page.parameter, "moved": str(form.get("move", ""))})
        return RedirectResponse(f"/admin/{ARRANGE}?{query}", 303)

    async def _dismiss(self, request: Request, pages: Pages, name: str) -> None:
        """Dismiss a step of the checklist, or all of them."""
        if not is_superuser(request):
            raise HTTPException(403)
        names = [step for step in step_names(request.app) if name in (step, "all")]
        async with self.site.database.writer() as session:
            await save_dismissed(session, dict.fromkeys((*pages.dismissed, *names)))

    async def _arrange(self, request: Request, pages: Pages, form: FormData) -> None:
        keys = [part.key for part in self.site.dashboard.parts(request)]
        order = _move([str(key) for key in form.getlist("order")], str(form.get("move", "")))
        arrangement = pages.arrangement.merge(keys, order, map(str, form.getlist("shown")))
        async with self.site.database.writer() as session:
            if "reset" in form:
                await delete_arrangement(session, pages.current)
            else:
                await save_arrangement(session, pages.current, arrangement)
            audit.record(session, request, "arrange", "overview", title=pages.current.title)


def _zone(key: str) -> str:
    return SECTIONS if key.startswith("/") else WIDGETS


def _move(order: Sequence[str], move: str) -> list[str]:
    """Return the order after a move such as `up:KEY`. Widgets stay among widgets, and sections among sections."""
    direction, _, key = move.partition(":")
    keys = [*order]
    if key in keys and direction in MOVES:
        other = keys.index(key) + MOVES[direction]
        if 0 <= other < len(keys) and _zone(keys[other]) == _zone(key):
            keys[keys.index(key)], keys[other] = keys[other], key
    return keys
