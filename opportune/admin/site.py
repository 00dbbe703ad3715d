"""The admin at /admin: SQLAdmin with the permissions, forms and pages of this framework."""

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from itertools import chain
from typing import Any, cast

from fastapi import FastAPI
from jinja2 import BytecodeCache, ChoiceLoader, PackageLoader
from sqladmin import BaseView, ModelView
from sqladmin.authorization import Action
from sqlalchemy.ext.asyncio import async_sessionmaker
from starlette.applications import Starlette
from starlette.datastructures import URL, FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from opportune.admin.authorization import Authorization, may_act, may_delete_any, may_edit_any, may_list, may_look_up
from opportune.admin.base import BaseAdminSite, has_history, row_actions
from opportune.admin.editing.cells import editable_cells
from opportune.admin.editing.editors import editors_url
from opportune.admin.editing.selected_rows import may_edit_selected, may_select
from opportune.admin.extensions import AdminExtension, Extensions, ModelPage, extension_classes
from opportune.admin.forms.admin_form import control_attributes, group_fields
from opportune.admin.forms.form_view import form_page, row_gone_error
from opportune.admin.lists.actions import list_url, with_confirmation
from opportune.admin.lists.display import title_for
from opportune.admin.lists.listed_rows import listed_rows
from opportune.admin.lists.order import sort_path, sortable_names
from opportune.admin.lists.parameters import clean_list_url, url_with
from opportune.admin.lists.related import related_rows
from opportune.admin.lists.row_keys import key_of, row_url
from opportune.admin.log.history import channel_label
from opportune.admin.model_pages import MODEL_PAGES
from opportune.admin.options import inlines_without_view, shared_identities
from opportune.admin.overview import overview_page
from opportune.admin.search import search_page
from opportune.admin.sqladmin_adapter import visible_actions
from opportune.admin.templates import AdminTemplates, render_page
from opportune.admin.trash.pages import count_deleted, delete_page, has_trash, may_use_trash
from opportune.admin.view_classes import menu_label, view_classes
from opportune.admin.views import AdminView
from opportune.crud.registry import find_default_errors
from opportune.db.models.labels import title_of
from opportune.db.sessions.session import Session
from opportune.errors import OperatorError, require_found
from opportune.i18n import format_lazy, gettext_lazy
from opportune.web import is_htmx
from opportune.web.rendering.environment import TemplateLoader
from opportune.web.routing.root_path import path_below_root
from opportune.web.static import icons
from opportune.web.time_zone import format_datetime

# The admin does not use these routes of SQLAdmin: assets come from /static, and users sign out at /accounts.
# Its exports and imports ignore the rules of fields: the feature import_export replaces them.
UNUSED_ROUTES = {"statics", "logout", "file_download", "file_preview", "export", "import"}
TEMPLATE_FUNCTIONS = (
    channel_label, control_attributes, count_deleted, editable_cells, editors_url, group_fields, has_history,
    has_trash, listed_rows, may_delete_any, may_edit_any, may_edit_selected, may_select, may_use_trash,
    related_rows, row_actions, row_url, sort_path, sortable_names, title_for, title_of, url_with, visible_actions,
)  # fmt: skip
TEMPLATE_GLOBALS = {
    **{function.__name__: function for function in TEMPLATE_FUNCTIONS},
    "get_object_identifier": key_of,
    "when": format_datetime,
}
"""Functions that the templates of the admin call, in addition to those of pages."""


def make_site(app: FastAPI, path: str, bytecode_cache: BytecodeCache | None = None) -> "AdminSite":
    """Make the admin at this path, with the views of every feature."""
    site = AdminSite(app, path, [*extension_classes(app.state.features)])
    site.templates.env.bytecode_cache = bytecode_cache
    for view, feature in view_classes(app.state.features):
        site.add_view(view, feature)
    icons.add(*(view.icon for view in site.views))
    view_errors = chain(shared_identities(site.views), inlines_without_view(site.row_views))
    if fault := next(chain(view_errors, find_default_errors()), ""):
        raise OperatorError(fault)
    site.add_extensions()
    return site


class AdminSite(BaseAdminSite):
    def __init__(self, app: FastAPI, path: str, extensions: Sequence[type[AdminExtension]] = ()) -> None:
        self.site_app = app
        self.database = app.state.database
        self.extension_classes = extensions
        self.extensions = Extensions()
        # SQLAdmin itself only reads, so it must not hold SQLite's one writing connection. Our views write.
        reading_sessions = async_sessionmaker(self.database.reading_engine, class_=Session, expire_on_commit=False)
        super().__init__(
            Starlette(),  # SQLAdmin mounts itself here; `add_admin` mounts it behind the middleware
            session_maker=reading_sessions,
            base_url=path,
            authorization_backend=Authorization(),
            title=format_lazy("%(site)s admin", site=app.state.settings.site_name),
        )
        self.templates.env.loader = ChoiceLoader([TemplateLoader(), PackageLoader("sqladmin")])
        self.templates.env.globals |= TEMPLATE_GLOBALS
        self.templates.env.trim_blocks = self.templates.env.lstrip_blocks = True
        self._configure_routes()

    def _configure_routes(self) -> None:
        """Remove the routes of SQLAdmin that the admin does not use, and add those of this framework."""
        self.admin.router.routes = [
            route for route in self.admin.routes if cast("Any", route).name not in UNUSED_ROUTES
        ]
        for route in self.admin.routes:
            if isinstance(route, Route) and route.name == "delete":
                route.methods = {"GET", "HEAD", "POST"}  # SQLAdmin expects only scripts to call it
        self.admin.add_route("/search", partial(search_page, site=self), ["GET"], "search")
        for page in MODEL_PAGES:
            self._add_model_page(page)

    def add_extensions(self) -> None:
        self.extensions = Extensions(extension(self) for extension in self.extension_classes)
        for page in chain.from_iterable(extension.pages for extension in self.extensions):
            self._add_model_page(page)

    def _add_model_page(self, page: ModelPage) -> None:
        endpoint = partial(self._model_page, page)
        self.admin.add_route(f"/{{identity}}/{page.path}", endpoint, [*page.methods], page.name)

    def init_templating_engine(self) -> AdminTemplates:
        return AdminTemplates(super().init_templating_engine().env)

    def add_view(self, view: type[ModelView] | type[BaseView], feature: str = "") -> None:
        # SQLAdmin sets attributes of the class. A process may have several sites, so each site gets a subclass.
        metaclass: Any = type(view)
        category = view.category or menu_label(view, feature)
        texts = {"name": view.name, "name_plural": getattr(view, "name_plural", ""), "category": category}
        labels = {option: gettext_lazy(text) for option, text in texts.items() if text}
        pages = {page.name for extension in self.extension_classes for page in extension.pages}
        files = {} if "export" in pages else {"can_export": False, "can_import": False}
        super().add_view(metaclass(view.__name__, (view,), {"category": "", "site": self, **labels, **files}))
        for route in self.admin.routes:
            # SQLAdmin runs actions on GET requests, so a link would be enough to run one.
            if isinstance(route, Route) and (route.name or "").startswith("action-"):
                route.methods = {"POST"}

    def wrap_action(self, action: Any, view: Any) -> Any:
        return with_confirmation(action, view)

    def _admin_view(self, request: Request) -> AdminView:
        view = self.find_view(request.path_params["identity"])
        if not isinstance(view, AdminView):
            raise TypeError(f"{type(view).__name__} must be an AdminView")
        return view

    async def login(self, request: Request) -> Response:
        return RedirectResponse(f"{self.base_url}/")  # the middleware has checked the user

    async def index(self, request: Request) -> Response:
        for extension in self.extensions:
            if (response := await extension.overview(request)) is not None:
                return response
        return await overview_page(request, self)

    def get_save_redirect_url(self, request: Request, form: FormData, model_view: ModelView, obj: Any) -> str | URL:  # type: ignore[override]  # a static method of SQLAdmin
        if form.get("save") == "Save" and isinstance(model_view, AdminView):
            if model_view.has_permission(request, Action.LIST):
                return list_url(request, model_view)
            return request.url_for("admin:index")
        url = URL(str(super().get_save_redirect_url(request, form, model_view, obj)))
        return url.replace(query=request.url.query)  # prefilled values, and the list to return to

    @cached_property
    def uses_font_awesome(self) -> bool:
        """Whether a view of the project has an icon such as `fa-solid fa-book`."""
        return any("fa-" in f"{view.icon} {view.category_icon}" for view in self.views)

    def render_error(self, request: Request, context: Mapping[str, Any], status: int) -> Response:
        """Render an error page in the layout of the admin, with a link to the list of the model in the URL."""
        identity = path_below_root(request.scope).removeprefix(f"{self.base_url}/").partition("/")[0]
        view = self.view_by_identity(identity)
        list_link = {"list_url": "", "list_name": ""}
        if view and may_act(request, view, Action.LIST):
            url = request.url_for("admin:list", identity=identity)
            is_failed_page = url.path == request.url.path
            list_link = {"list_url": "" if is_failed_page else str(url), "list_name": view.name_plural}
        template = self.templates.env.get_template("admin/error.html")
        return HTMLResponse(template.render({"request": request, "is_error": True, **context, **list_link}), status)

    async def list(self, request: Request) -> Response:
        """Forms also send parameters without a value. The URL of the list does not contain them."""
        view = self.find_view(request.path_params["identity"])
        if not isinstance(view, AdminView):
            return cast("Response", await super().list(request))
        for extension in () if request.url.query else self.extensions:
            if (replacement := await extension.open_list(request, view)) is not None:
                return replacement
        if (url := await clean_list_url(request, view)) and not is_htmx(request):
            return RedirectResponse(url, 303)
        response: Response = await super().list(request)
        response.headers["Vary"] = "HX-Request-Type"
        if is_htmx(request):
            response.headers["HX-Replace-Url"] = url or str(request.url)
        return response

    async def _model_page(self, page: ModelPage, request: Request) -> Response:
        view = self._admin_view(request)
        is_permitted = not page.may_open or page.may_open(request, view)
        if not is_permitted or (page.requires_list and not await may_list(request, view)):
            raise HTTPException(403)
        return await page.endpoint(request, view)

    async def create(self, request: Request) -> Response:
        await self.check_access(request, "create")
        return await form_page(request, self._admin_view(request), None)

    async def details(self, request: Request) -> Response:
        """Unlike SQLAdmin, read the row once."""
        view = self._admin_view(request)
        row = await view.get_object_for_details(request)
        if not (
            view.can_view_details and view.is_accessible(request) and await view.check_can_view_details(request, row)
        ):
            raise HTTPException(403)
        require_found(row)
        context = {**await view.details_context(request), "model": row, "title": view.name}
        return await render_page(request, view, view.details_template, context)

    async def edit(self, request: Request) -> Response:
        view = self._admin_view(request)
        row = await view.get_object_for_edit(request)
        if not (view.can_edit and view.is_accessible(request) and await view.check_can_edit(request, row)):
            raise HTTPException(403)
        if row is None:
            raise await row_gone_error(request, view)
        return await form_page(request, view, row)

    async def delete(self, request: Request) -> Response:
        return await delete_page(request, self._admin_view(request))

    async def ajax_lookup(self, request: Request) -> Response:
        """Return rows that a column can refer to, for forms and filters. SQLAdmin only supports forms."""
        view = self._admin_view(request)
        params = request.query_params
        lookup = view.lookups.get(params.get("name", "").rpartition("-")[2])
        if not await may_look_up(request, view, lookup):
            raise HTTPException(403)
        if lookup is None or view.names.hides(lookup.name):
            raise HTTPException(404)
        rows = await lookup.get_list(request, params.get("term", ""))
        return JSONResponse({"results": [lookup.format(row) for row in rows]})
