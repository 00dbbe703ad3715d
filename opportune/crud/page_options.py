"""Options and routes of `CrudPages`."""

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from inspect import get_annotations
from time import monotonic
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar
from urllib.parse import quote

from fastapi import APIRouter, Request, Response

from opportune.crud import routes
from opportune.crud.columns import ListColumn, check_declaration, list_columns
from opportune.crud.crud import Crud
from opportune.crud.formats import Format
from opportune.crud.options import Key
from opportune.crud.registry import default_crud
from opportune.db.models.labels import label_of_class
from opportune.db.models.model import Model
from opportune.errors import OperatorError
from opportune.errors.arguments import strict
from opportune.errors.option_constraints import DISTINCT, Names
from opportune.errors.option_types import describe_mismatch
from opportune.errors.renamed_names import PAGES_WITHOUT, renamed_to
from opportune.errors.suggestions import did_you_mean
from opportune.i18n import gettext_lazy
from opportune.project.feature_packages import PREFIX
from opportune.project.layout import PACKAGE
from opportune.web import templates

M = TypeVar("M", bound=Model)


class PageRoute(NamedTuple):
    """Route of a page. A POST writes."""

    method: Literal["GET", "POST"]
    path: str
    action: str
    """Permission that it needs. Empty if the page checks it itself."""


ROUTES: Mapping[str, PageRoute] = {
    "list": PageRoute("GET", "", "list"),
    "create_form": PageRoute("GET", "/new", "create"),
    "create": PageRoute("POST", "/new", "create"),
    "choices": PageRoute("GET", "/new/choices", ""),
    "get": PageRoute("GET", "/{key}", "get"),
    "update_form": PageRoute("GET", "/{key}/edit", "update"),
    "update": PageRoute("POST", "/{key}/edit", "update"),
    "delete_form": PageRoute("GET", "/{key}/delete", "delete"),
    "delete": PageRoute("POST", "/{key}/delete", "delete"),
    "restore": PageRoute("POST", "/{key}/restore", "delete"),
}
"""Routes by the method of `CrudPages` that responds to them."""
LEFT_OUT_WITH = {"create_form": "create", "update_form": "update", "delete_form": "delete", "restore": "delete"}
"""Routes that `without` leaves out together with another one."""

TEMPLATE_CACHE_SECONDS = 1
"""Time for which the choice between the project's template and the default is cached."""

declared_pages: dict[type[Any], list["PageOptions[Any]"]] = {}
"""The pages of each model."""


@partial(strict, label="CrudPages")
class PageOptions(Generic[M]):
    """The options of `CrudPages`, and its router."""

    columns: Names = ()
    """Columns of the list: columns, annotations, relationships (`author`) and columns of related rows (`author.name`).

    By default, the list has the first six short fields."""
    fields: Names = ()
    """Fields on the page of one row; by default the fields of the API's response."""
    sections: Annotated[Sequence[tuple[str, Sequence[str]]], DISTINCT] = ()
    """Fields of the form under headings: `(("Book", ("title", "author_id")),)`."""
    formats: Mapping[str, Format] = {}
    """Functions that format the values of a column, as text or as HTML (`Markup`)."""
    without: Sequence[str] = ()
    """Routes to leave out: `("delete",)`."""
    name: str = ""
    """Name of a row, such as "Book"; by default from the name of the model."""
    plural: str = ""

    def __init__(self, crud_class: type[Crud[M]], path: str, **options: Any) -> None:
        class_name = type(self).__name__
        types = get_annotations(PageOptions)
        for option, value in options.items():
            if option not in types:
                advice = did_you_mean(option, types) or f" There are: {', '.join(types)}."
                raise OperatorError(f"{class_name} has no option {option!r}.{advice}")
            if mismatch := describe_mismatch(value, types[option]):
                raise OperatorError(f"{class_name}({option}=…) {mismatch}.")
            setattr(self, option, value)  # instead of that of the class
        self.crud_class = crud_class
        self.path = path
        self.name = gettext_lazy(self.name or label_of_class(crud_class.model))
        self.plural = gettext_lazy(self.plural or label_of_class(crud_class))
        self._templates: dict[str, tuple[object, float, str]] = {}
        """Loader, time of expiry and name of the cached template, by page."""
        for route in self.without:
            if route not in ROUTES:
                advice = f"There are: {', '.join(ROUTES)}.{renamed_to(route, PAGES_WITHOUT)}"
                raise OperatorError(f"{class_name}.without: there is no {route!r}. {advice}")
        check_declaration(self)
        declared_pages.setdefault(crud_class.model, []).append(self)

    @cached_property
    def router(self) -> APIRouter:
        """The routes, for `Feature(pages=...)`. Routes that you add to it can replace them."""
        router = routes.ReplaceableRoutes(prefix=self.path)
        parameter = f"{{{routes.path_parameter_name(self.crud_class)}}}"
        for name, route in ROUTES.items():
            if self.has(name):
                path = route.path.replace("{key}", parameter)
                endpoint = self._endpoint(name, route)
                router.add_api_route(path, endpoint, methods=[route.method], name=f"{type(self).__name__}.{name}")
        router.complete()
        return router

    def has(self, name: str) -> bool:
        """Return whether this route exists."""
        if name == "restore" and not self.crud_class.definition.has_trash:
            return False
        return name not in self.without and LEFT_OUT_WITH.get(name, name) not in self.without

    def _endpoint(self, name: str, route: PageRoute) -> Any:
        method = getattr(self, name)
        crud_class: Any = self.crud_class
        open_crud = routes.reading if route.method == "GET" else routes.writing
        dependency = open_crud(crud_class, route.action)

        async def list_route(request: Request, crud: Annotated[Any, dependency]) -> Response:
            response: Response = await method(request, crud)
            return response

        async def row_route(request: Request, crud: Annotated[Any, dependency], key: Key) -> Response:
            response: Response = await method(request, crud, key)
            return response

        if "{key}" in route.path:
            return routes.set_route_types(crud_class, row_route, key=routes.path_parameter_type(crud_class))
        return routes.set_route_types(crud_class, list_route)

    def template(self, page: str) -> str:
        """Return the project's template, such as `books/book_list.html`, or the default `crud/list.html`."""
        loader = templates.environment.loader
        now = monotonic()
        cached_loader, expires_at, name = self._templates.get(page, (None, 0.0, ""))
        if cached_loader is not loader or expires_at < now:
            own_page = f"{self._feature}/{self.crud_class.model.__name__.lower()}_{page}.html"
            name = str(templates.environment.select_template([own_page, f"crud/{page}.html"]).name)
            self._templates[page] = loader, now + TEMPLATE_CACHE_SECONDS, name
        return name

    def url_of(self, row: Any) -> str:
        """Return the URL of a row's page. The row may be a mapping."""
        lookup = self.crud_class.lookup
        key = row[lookup] if isinstance(row, Mapping) else getattr(row, lookup)
        if isinstance(key, str):
            key = quote(key, safe="")
        return f"{self.path}/{key}"

    @cached_property
    def list_columns(self) -> list[ListColumn]:
        return list_columns(self.crud_class, self.columns, self.formats)

    @property
    def _feature(self) -> str:
        """The name of the feature that declares the data layer, which is also the folder of its templates."""
        package, *inner = self.crud_class.__module__.split(".")
        if package == PACKAGE and inner:  # app.books.service
            return inner[0].removeprefix(PREFIX)
        folders = [package, *inner[:-1]]  # opportune_books.service, or opportune.contrib.knowledge.pages
        return folders[-1].removeprefix(PREFIX)

    def may_create(self, crud: Crud[Any]) -> bool:
        return self.has("create") and crud.may("create")


def pages_of(model: type[Any], among: Sequence[PageOptions[Any]] | None = None) -> PageOptions[Any] | None:
    """Return the pages that others link to: the first pages of the default data layer, else of another one."""
    declared = declared_pages.get(model, ())
    candidates = [pages for pages in declared if among is None or pages in among]
    default = default_crud(model) if candidates else None
    preferred = [pages for pages in candidates if pages.crud_class is default]
    return next(iter(preferred or candidates), None)


def add_url(crud: Crud[Any], model: type[Any]) -> str:
    """Return the URL of the form for a new row of a model, or an empty text if the user may not add one."""
    pages = pages_of(model)
    if pages is None:
        return ""
    other = pages.crud_class(crud.session, crud.user, crud.permissions, crud.team)
    return f"{pages.path}/new" if pages.may_create(other) else ""


def page_url_of(row: Any) -> str:
    """Return the URL of the page of a row of any model, or an empty text if it has none."""
    pages = pages_of(type(row))
    return pages.url_of(row) if pages and pages.has("get") else ""
