"""Page to arrange the dashboard of a group."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from sqladmin import BaseView, expose
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.admin.authorization import is_superuser
from opportune.admin.forms.admin_form import read_form_texts
from opportune.admin.log import audit
from opportune.admin.templates import render_page
from opportune.contrib.dashboard import layouts
from opportune.contrib.dashboard.checklist import step_names
from opportune.contrib.dashboard.dashboard import Dashboard
from opportune.contrib.dashboard.shared_counts import TAG
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.web.rendering.flash import flash

WIDGETS = _l("Widgets")
SECTIONS = _l("Sections")
MOVES = {"up": -1, "down": 1}


class ArrangeAdmin(BaseView):
    """Members of a group with access to this page arrange the group's dashboard. Superusers arrange every page."""

    name = "Arrange the overview"
    identity = layouts.ARRANGE  # SQLAdmin sets it when the admin is built, but `Feature(groups=…)` is checked before
    icon = "ti ti-layout-dashboard"
    category = "Operations"
    site: Any

    def is_visible(self, request: Request) -> bool:
        return False

    def has_permission(self, request: Request, action: str, obj: Any = None) -> bool:
        return True  # all users choose their first page and count again; `show` checks the permission to arrange

    @expose("/arrange-overview", methods=["GET", "POST"], identity=layouts.ARRANGE)
    async def show(self, request: Request) -> Response:
        async with self.site.database.reader(fresh=True) as session:
            pages = await layouts.read_pages(session, request)
        if request.method == "POST":
            return await self._change(request, pages, await read_form_texts(request))
        if not layouts.may_arrange(request):
            raise HTTPException(403)
        zones: dict[str, list[layouts.Part]] = {WIDGETS: [], SECTIONS: []}
        for part in pages.arrangement.sort(self.site.extensions.of_type(Dashboard).parts(request)):
            zones[_zone(part.key)].append(part)
        context: dict[str, Any] = {"title": self.name, "pages": pages, "zones": zones}
        return await render_page(request, self, "dashboard/arrange.html", context)

    async def _change(self, request: Request, pages: layouts.Pages, form: FormData) -> Response:
        page = pages.current
        if "fresh" in form:
            await request.app.state.cache.clear(TAG)
            return RedirectResponse(f"/admin/?{request.url.query}", 303)
        if "first" in form:
            async with self.site.database.writer() as session:
                await layouts.save_first_page(session, request.state.user, page)
            flash(request, gettext("%(title)s is your first page now.", title=page.title))
            return RedirectResponse(f"/admin/?group={page.parameter}", 303)
        if not layouts.may_arrange(request):
            raise HTTPException(403)
        if "dismiss" in form:
            await self._dismiss(request, pages, str(form["dismiss"]))
            return RedirectResponse("/admin/", 303)
        await self._arrange(request, pages, form)
        flash(request, gettext("%(title)s was saved.", title=page.title))
        # The button that was pressed keeps the focus.
        query = urlencode({"group": page.parameter, "moved": str(form.get("move", ""))})
        return RedirectResponse(f"/admin/{layouts.ARRANGE}?{query}", 303)

    async def _dismiss(self, request: Request, pages: layouts.Pages, name: str) -> None:
        """Dismiss a step of the checklist, or all of them."""
        if not is_superuser(request):
            raise HTTPException(403)
        names = [step for step in step_names(request.app) if name in (step, "all")]
        async with self.site.database.writer() as session:
            await layouts.save_dismissed(session, dict.fromkeys((*pages.dismissed, *names)))

    async def _arrange(self, request: Request, pages: layouts.Pages, form: FormData) -> None:
        keys = [part.key for part in self.site.extensions.of_type(Dashboard).parts(request)]
        order = _move([str(key) for key in form.getlist("order")], str(form.get("move", "")))
        arrangement = pages.arrangement.merge(keys, order, map(str, form.getlist("shown")))
        async with self.site.database.writer() as session:
            if "reset" in form:
                await layouts.delete_arrangement(session, pages.current)
            else:
                await layouts.save_arrangement(session, pages.current, arrangement)
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
