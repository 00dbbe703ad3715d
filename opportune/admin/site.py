"""The admin at /admin: SQLAdmin with our gate, our forms and our pages."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, cast

from fastapi import FastAPI
from jinja2 import ChoiceLoader, PackageLoader
from sqladmin import BaseView, ModelView
from sqladmin.authorization import Action
from sqlalchemy.ext.asyncio import async_sessionmaker
from starlette.applications import Starlette
from starlette.datastructures import URL, FormData
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Receive, Scope, Send

from opportune.admin.accounts.credentials import ACCOUNTS
from opportune.admin.accounts.groups import GROUPS
from opportune.admin.accounts.users import UserAdmin
from opportune.admin.authorization import Authorization, may_look_up
from opportune.admin.dashboard.dashboard import Dashboard
from opportune.admin.forms.fieldsets import group_fields
from opportune.admin.forms.form_view import form_page
from opportune.admin.import_export.export import export_page
from opportune.admin.import_export.import_view import import_page
from opportune.admin.lists.actions import with_confirmation
from opportune.admin.lists.related import related_rows
from opportune.admin.log.history import LogAdmin, history_page
from opportune.admin.middleware import RelativeUrlsMiddleware, StaffOnlyMiddleware
from opportune.admin.operations.cache import CacheAdmin
from opportune.admin.operations.jobs import JobAdmin
from opportune.admin.operations.view import OperationsAdmin
from opportune.admin.options import inlines_without_view
from opportune.admin.persistence.deletion import delete_page
from opportune.admin.sqladmin_adapter import AdapterSite
from opportune.admin.status.view import StatusAdmin
from opportune.admin.views import AdminView
from opportune.db.columns import title_of
from opportune.db.database import Database
from opportune.errors import OperatorError
from opportune.feature import Feature
from opportune.web.rendering import icons
from opportune.web.rendering.flash import flashed
from opportune.web.rendering.loader import TemplateLoader
from opportune.web.rendering.static_files import assets
from opportune.web.time_zone import format_datetime

ADMIN_PATH = "/admin"
# Assets come from /static, people sign in and out at /accounts, and nothing here takes files.
UNUSED_ROUTES = {"statics", "logout", "file_download", "file_preview"}
PAGE_METHODS = {"delete": {"GET", "HEAD", "POST"}, "import": {"GET", "HEAD", "POST"}}
"""Methods of routes that are pages here: SQLAdmin's own are for its scripts."""


def add_admin(app: FastAPI) -> None:
    """Put the admin with the views of every feature into the site."""
    admin = AdminWhenAsked(app)
    app.router.routes.append(Route(ADMIN_PATH, _to_index, methods=["GET"], include_in_schema=False))
    middleware = [
        Middleware(StaffOnlyMiddleware),
        Middleware(RelativeUrlsMiddleware, admin=admin, address=ADMIN_PATH),
    ]
    app.router.routes.append(Mount(ADMIN_PATH, admin, name="admin", middleware=middleware))


class AdminWhenAsked:
    """The admin, made when somebody first asks for a page of it or for its routes: most visitors do not."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    @cached_property
    def site(self) -> "AdminSite":
        site = AdminSite(self.app.state.database, f"{self.app.state.settings.site_name} admin")
        site.dashboard = Dashboard(self.app, site)
        for view, feature in view_classes(self.app.state.features):
            site.add_view(view, feature)
        if fault := next(inlines_without_view([view for view in site.views if isinstance(view, AdminView)]), ""):
            raise OperatorError(fault)
        return site

    @property
    def routes(self) -> list[BaseRoute]:
        return self.site.admin.router.routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The router alone: as an application of its own it would answer errors its own way.
        await self.site.admin.router(scope, receive, send)


def view_classes(features: Sequence[Feature]) -> Iterator[tuple[Any, str]]:
    """Those of the framework and of the features, and whose each is."""
    own = [(view, feature.name) for feature in features for view in feature.admin]
    users = [each for each in own if issubclass(each[0], UserAdmin)]
    yield from users or [(UserAdmin, "")]
    for view in (*ACCOUNTS, *GROUPS, StatusAdmin, OperationsAdmin, JobAdmin, CacheAdmin, LogAdmin):
        yield view, ""
    if any(feature.name == "answers" for feature in features):
        from opportune.admin.answers import AnswerAdmin  # noqa: PLC0415 - as below

        yield AnswerAdmin, ""
    if any(feature.llm_guard for feature in features):
        from opportune.admin.operations.llm import LlmAdmin  # noqa: PLC0415 - other sites have no such tables

        yield LlmAdmin, ""
    yield from (each for each in own if each not in users)


def add_icons(features: Sequence[Feature]) -> None:
    """Have in the sheet of icons those that features declare: of their views, and of the navigation."""
    icons.add(*(view.icon for view, _ in view_classes(features)))
    icons.add(*(link.icon for feature in features for link in feature.navigation))


async def _to_index(request: Request) -> Response:
    return RedirectResponse(f"{ADMIN_PATH}/")


class AdminSite(AdapterSite):
    dashboard: Dashboard

    def __init__(self, database: Database, title: str) -> None:
        self.database = database
        # What SQLAdmin does by itself is reading; it must not hold SQLite's one writing connection. Our views write.
        reading = async_sessionmaker(database.reading_engine, expire_on_commit=False)
        super().__init__(
            Starlette(),  # where it mounts itself: the real place is behind the middleware
            session_maker=reading,
            base_url=ADMIN_PATH,
            authorization_backend=Authorization(),
            title=title,
        )
        self.templates.env.loader = ChoiceLoader([TemplateLoader(), PackageLoader("sqladmin")])
        self.templates.env.globals |= {
            "asset": assets.url,
            "flashed": flashed,
            "title_of": title_of,
            "when": format_datetime,
        }
        self.templates.env.globals |= {"related_rows": related_rows, "group_fields": group_fields}
        self.templates.env.trim_blocks = self.templates.env.lstrip_blocks = True
        self.admin.router.routes = [
            route for route in self.admin.routes if cast("Any", route).name not in UNUSED_ROUTES
        ]
        for route in self.admin.routes:
            if isinstance(route, Route) and route.name in PAGE_METHODS:
                route.methods = PAGE_METHODS[route.name]

        self.admin.add_route("/{identity}/history/{pk:path}", self.history, ["GET"], "history")

    def add_view(self, view: type[ModelView] | type[BaseView], feature: str = "") -> None:
        # SQLAdmin writes on the class, and one process may have several sites: each gets a class of its own.
        kind: Any = type(view)
        super().add_view(
            kind(view.__name__, (view,), {"category": view.category or feature.capitalize(), "site": self})
        )
        for route in self.admin.routes:
            # SQLAdmin runs actions by GET, so that a mere link would be enough to run one.
            if isinstance(route, Route) and (route.name or "").startswith("action-"):
                route.methods = {"POST"}

    def wrap_action(self, action: Any, view: Any) -> Any:
        return with_confirmation(action, view)

    def view_for_model(self, model: type[Any]) -> AdminView | None:
        return next((view for view in self.views if isinstance(view, AdminView) and view.model is model), None)

    def view_by_identity(self, identity: str) -> AdminView | None:
        return next((view for view in self.views if isinstance(view, AdminView) and view.identity == identity), None)

    def _admin_view(self, request: Request) -> AdminView:
        view = self.find_view(request.path_params["identity"])
        if not isinstance(view, AdminView):
            raise TypeError(f"{type(view).__name__} must be an AdminView")
        return view

    async def login(self, request: Request) -> Response:
        return RedirectResponse(f"{ADMIN_PATH}/")  # the middleware has seen to it that this is somebody who may

    async def index(self, request: Request) -> Response:
        return await self.templates.TemplateResponse(request, "admin/index.html", await self.dashboard.context(request))

    def get_save_redirect_url(self, request: Request, form: FormData, model_view: ModelView, obj: Any) -> str | URL:  # type: ignore[override]  # a static method there
        if form.get("save") == "Save" and not model_view.has_permission(request, Action.LIST):
            return request.url_for("admin:index")
        return super().get_save_redirect_url(request, form, model_view, obj)

    async def create(self, request: Request) -> Response:
        await self.check_access(request, "create")
        return await form_page(request, self._admin_view(request), None)

    async def edit(self, request: Request) -> Response:
        await self.check_access(request, "edit")
        view = self._admin_view(request)
        row = await view.get_object_for_edit(request)
        if row is None:
            raise HTTPException(404)
        return await form_page(request, view, row)

    async def history(self, request: Request) -> Response:
        return await history_page(request, self._admin_view(request))

    async def delete(self, request: Request) -> Response:
        return await delete_page(request, self._admin_view(request))

    async def import_endpoint(self, request: Request) -> Response:
        await self.check_access(request, "import")
        return await import_page(request, self._admin_view(request))

    async def ajax_lookup(self, request: Request) -> Response:
        """Rows that a column can point at, for forms and for filters. (SQLAdmin's own is for forms alone.)"""
        view, asked = self._admin_view(request), request.query_params
        lookup = view.lookups.get(asked.get("name", "").rpartition("-")[2])
        if not await may_look_up(request, view, lookup):
            raise HTTPException(403)
        if lookup is None:
            raise HTTPException(404)
        found = await lookup.get_list(request, asked.get("term", ""))
        return JSONResponse({"results": [lookup.format(row) for row in found]})

    async def export(self, request: Request) -> Response:
        await self.check_access(request, "export")
        return await export_page(request, self._admin_view(request))
