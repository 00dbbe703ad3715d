"""Saved views in the lists and in the menu of the admin."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import Response

from opportune.admin.extensions import AdminExtension, MenuLink, Slot
from opportune.contrib.saved_views.pages import PAGES, open_list
from opportune.contrib.saved_views.queries import PLAIN, load_saved_views, read_state


class SavedViewsExtension(AdminExtension):
    pages = PAGES
    slots: ClassVar[Mapping[Slot, str]] = {"list_bar": "saved_views/bar.html", "list_tools": "saved_views/tools.html"}
    list_parameters = ("view",)

    async def open_list(self, request: Request, view: Any) -> Response | None:
        """Open the user's default view."""
        default = (await load_saved_views(request)).default(view.identity)
        return open_list(request, view, default) if default else None

    async def plain_list_url(self, request: Request, view: Any) -> str:
        default = (await load_saved_views(request)).default(view.identity)
        return f"{request.url.path}?view={PLAIN}" if default else ""

    async def menu_links(self, request: Request) -> Mapping[str, Sequence[MenuLink]]:
        links: dict[str, list[MenuLink]] = {}
        current = request.path_params.get("identity"), request.query_params.get("view")
        for saved in (await load_saved_views(request)).views:
            if saved.is_pinned:
                url = str(request.url_for("admin:open-view", identity=saved.identity, view_id=saved.id))
                link = MenuLink(saved.name, url, (saved.identity, str(saved.id)) == current)
                links.setdefault(saved.identity, []).append(link)
        return links

    list_state = staticmethod(read_state)
