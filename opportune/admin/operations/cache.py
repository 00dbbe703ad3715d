"""The page of cached responses."""

from typing import cast

from sqladmin import expose
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.admin.authorization import SuperuserOnly
from opportune.admin.forms.admin_form import read_form_texts
from opportune.admin.log import audit
from opportune.i18n import gettext
from opportune.web.cache import ALL_TAGS, Cache
from opportune.web.cache.rule import Counts
from opportune.web.rendering.flash import flash
from opportune.web.routing.router import CachedRoute


class CacheAdmin(SuperuserOnly):
    name = "Cache"
    icon, category = "ti ti-bolt", "Operations"

    @expose("/cache", methods=["GET", "POST"], identity="cache")
    async def show(self, request: Request) -> Response:
        cache: Cache = request.app.state.cache
        if request.method == "POST":
            return await self._clear(request, cache)
        routes = [route for route in request.app.router.routes if isinstance(route, CachedRoute)]
        context = {
            "model_view": self,
            "title": self.name,
            "cache": cache,
            "size": await cache.store.size(),
            "routes": routes,
            "total": sum((route.counts for route in routes), Counts()),
            "tags": sorted({tag for route in routes for tag in route.rule.tags}),
        }
        return cast("Response", await self.templates.TemplateResponse(request, "admin/cache.html", context))

    @staticmethod
    async def _clear(request: Request, cache: Cache) -> Response:
        tag = str((await read_form_texts(request)).get("tag", "")).strip()
        if not tag:
            flash(request, "Enter the tag of the responses to clear.", "danger")
            return RedirectResponse(request.url_for("admin:view-cache"), 303)
        async with request.app.state.database.writer() as session:
            audit.record(session, request, "clear", "cache", title=tag)
        await cache.clear(tag)
        is_cleared = gettext("Responses with the tag “%(tag)s” were cleared.", tag=tag)
        flash(request, "The cache was cleared." if tag == ALL_TAGS else is_cleared)
        return RedirectResponse(request.url_for("admin:view-cache"), 303)
