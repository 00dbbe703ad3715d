"""The admin at /admin: SQLAdmin with our gate, our forms and our pages."""

from collections.abc import Callable
from inspect import unwrap
from types import FunctionType
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from fastapi import FastAPI
from sqladmin import Admin, BaseView, Flash, ModelView
from sqlalchemy.ext.asyncio import async_sessionmaker
from starlette.applications import Starlette
from starlette.datastructures import URL
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from app.accounts.keys import derived_key
from app.admin.accounts import SessionAdmin, UserAdmin
from app.admin.cache import CacheAdmin
from app.admin.columns import title_of
from app.admin.export import export_response
from app.admin.formatters import shortened
from app.admin.forms import AdminForm, sent_texts, show_refusal
from app.admin.gate import KeptMessages, PathsOnly, SuperusersOnly
from app.admin.jobs import JobAdmin
from app.admin.refusals import Refused
from app.admin.views import AdminView
from app.core.db.database import Database
from app.core.settings import PROJECT, Settings
from app.core.web.assets import assets

ADDRESS = "/admin"
# Assets come from /static, people sign in and out at /accounts, and nothing here takes files.
UNUSED = {"statics", "logout", "import", "file_download", "file_preview"}
MARKS = {"_action", "_exposed"}


def add_admin(app: FastAPI) -> None:
    """Put the admin with the views of every feature into the site."""
    site = Site(app.state.database)
    for view in (UserAdmin, SessionAdmin, JobAdmin, CacheAdmin):
        site.add_view(view)
    for feature in app.state.features:
        for view in feature.admin:
            site.add_view(view, feature.name)
    app.router.routes.append(Route(ADDRESS, _to_index, methods=["GET"], include_in_schema=False))
    # The router alone: as an application of its own it would answer errors its own way.
    middleware = [
        Middleware(SuperusersOnly),
        messages_in_cookie(app.state.settings),
        Middleware(KeptMessages),
        Middleware(PathsOnly),
    ]
    app.router.routes.append(Mount(ADDRESS, site.admin.router, name="admin", middleware=middleware))


async def _to_index(request: Request) -> Response:
    return RedirectResponse(f"{ADDRESS}/")


def messages_in_cookie(settings: Settings) -> Middleware:
    """A cookie for messages that wait for the next page. Who is signed in is not in it."""
    return Middleware(
        SessionMiddleware,
        secret_key=derived_key(settings, "admin messages"),
        session_cookie="__Host-messages" if settings.is_production else "messages",
        max_age=300,
        https_only=settings.is_production,
    )


class Site(Admin):
    def __init__(self, database: Database) -> None:
        self.database = database
        # What SQLAdmin does by itself is reading; it must not hold SQLite's one writing connection. Our views write.
        reading = async_sessionmaker(database.reading_engine, expire_on_commit=False)
        super().__init__(
            Starlette(),  # where it mounts itself: the real place is behind the gate
            session_maker=reading,
            base_url=ADDRESS,
            title="Admin",
            templates_dir=str(PROJECT / "templates"),
        )
        self.templates.env.globals |= {"asset": assets.url, "title_of": title_of}
        self.templates.env.trim_blocks = self.templates.env.lstrip_blocks = True
        self.admin.router.routes = [route for route in self.admin.routes if cast("Any", route).name not in UNUSED]

    def add_view(self, view: type[ModelView] | type[BaseView], feature: str = "") -> None:
        # SQLAdmin writes on the class, and one process may have several sites: each gets a class of its own.
        kind: Any = type(view)
        super().add_view(kind(view.__name__, (view,), {"category": view.category or feature.capitalize()}))
        for route in self.admin.routes:
            # SQLAdmin runs actions by GET, so that a mere link would be enough to run one.
            if isinstance(route, Route) and (route.name or "").startswith("action-"):
                route.methods = {"POST"}

    @staticmethod
    def _find_decorated_funcs(view: Any, view_instance: Any, handle_fn: Callable[[Any, Any, Any], None]) -> None:
        """As SQLAdmin's, which takes long: it looks at every attribute, several hundred in each view."""
        funcs = [getattr(view_instance, name) for name in sorted(_marked(view))]
        for func in sorted(funcs, key=lambda func: unwrap(func).__code__.co_firstlineno, reverse=True):
            handle_fn(func, view, view_instance)

    def view_of(self, model: type[Any]) -> ModelView | None:
        return next((view for view in self.views if isinstance(view, ModelView) and view.model is model), None)

    def _admin_view(self, request: Request) -> AdminView:
        view = self._find_model_view(request.path_params["identity"])
        if not isinstance(view, AdminView):
            raise TypeError(f"{type(view).__name__} must be an AdminView")
        return view

    def plain_names(self, data: dict[str, Any], model: type[Any]) -> dict[str, Any]:
        """A form's data by the names of the model: some names mean something else to WTForms."""
        plain: dict[str, Any] = self._denormalize_wtform_data(data, model)
        return plain

    async def login(self, request: Request) -> Response:
        return RedirectResponse(f"{ADDRESS}/")  # the gate has seen to it that this is a superuser

    async def index(self, request: Request) -> Response:
        views = [view for view in self.views if isinstance(view, ModelView) and view.is_visible(request)]
        async with self.database.reader(fresh=True) as session:
            counts = [(view, await session.scalar(view.count_query(request))) for view in views]
        return await self.templates.TemplateResponse(request, "admin/index.html", {"counts": counts})

    async def create(self, request: Request) -> Response:
        await self._create(request)
        return await self._form(request, self._admin_view(request), None)

    async def edit(self, request: Request) -> Response:
        await self._edit(request)
        view = self._admin_view(request)
        row = await view.get_object_for_edit(request)
        if row is None:
            raise HTTPException(404)
        return await self._form(request, view, row)

    async def _form(self, request: Request, view: AdminView, row: Any) -> Response:
        form_class = await view.form_class(creating=row is None)
        initial = {} if row is None else await view.get_form_data_for_edit(row)
        if request.method == "GET":
            return await self._form_page(request, view, row, form_class(data=initial))
        sent = await sent_texts(request)
        form = form_class(sent, data=initial)
        try:
            saved = await self._save(request, view, row, form)
        except Refused as refusal:
            return await self._form_page(request, view, row, form, show_refusal(form, refusal))
        Flash.success(request, f"{view.name} “{shortened(title_of(saved))}” was saved.")
        return RedirectResponse(self.get_save_redirect_url(request, sent, view, saved), 303)

    @staticmethod
    async def _save(request: Request, view: AdminView, row: Any, form: AdminForm) -> Any:
        values = view.clean(form, row)
        if row is None:
            return await view.insert_model(request, values)
        return await view.update_model(request, request.path_params["pk"], values)

    async def _form_page(
        self, request: Request, view: AdminView, row: Any, form: AdminForm, error: str = ""
    ) -> Response:
        context = {"model_view": view, "obj": row, "form": form, "error": error}
        context |= await (view.create_context(request) if row is None else view.edit_context(request))
        status = 400 if error or form.errors else 200
        return await self.templates.TemplateResponse(request, view.edit_template, context, status)

    async def delete(self, request: Request) -> Response:
        if not request.query_params.get("pks"):
            raise HTTPException(400, "Nothing was chosen.")
        await self._delete(request)
        view = self._admin_view(request)
        pks = [pk for pk in request.query_params["pks"].split(",") if pk]
        try:
            await view.delete_rows(request, pks)
            Flash.success(request, f"Deleted {len(pks)} {view.name if len(pks) == 1 else view.name_plural}.")
        except Refused as refusal:
            Flash.error(request, f"Nothing was deleted. {refusal}")
        # Back to the same search and page.
        back = dict(parse_qsl(urlsplit(request.headers.get("referer", "")).query))
        url = URL(str(request.url_for("admin:list", identity=view.identity)))
        return PlainTextResponse(str(url.include_query_params(**back)))

    async def ajax_lookup(self, request: Request) -> Response:
        """Rows that a column can point at, for forms and for filters. (SQLAdmin's own is for forms alone.)"""
        view, asked = self._admin_view(request), request.query_params
        lookup = view.references.get(asked.get("name", ""))
        if lookup is None:
            raise HTTPException(404)
        found = await lookup.get_list(request, asked.get("term", ""))
        return JSONResponse({"results": [lookup.format(row) for row in found]})

    async def export(self, request: Request) -> Response:
        await self._export(request)
        view = self._admin_view(request)
        return export_response(view, await view.found(request), request.path_params["export_type"])


def _marked(view: type[Any]) -> set[str]:
    """Names of the methods that have an address: those with `@action` or `@expose`."""
    members = (member for kind in view.__mro__ for member in vars(kind).items())
    return {name for name, value in members if isinstance(value, FunctionType) and vars(value).keys() & MARKS}
