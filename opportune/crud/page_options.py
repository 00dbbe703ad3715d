"""Options and routes of `CrudPages`."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from time import monotonic
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import quote

from fastapi import APIRouter, Request, Response

from opportune.crud.columns import ListColumn, check_declaration, list_columns
from opportune.crud.crud import Crud, Key
from opportune.crud.dependencies import reading, writing
from opportune.crud.formats import Format
from opportune.crud.registry import default_crud
from opportune.crud.routes import ReplaceableRoutes, path_parameter_name, path_parameter_type, set_route_types
from opportune.db.models.columns import label_of_class
from opportune.db.models.model import Model
from opportune.errors import OperatorError
from opportune.errors.renamed_names import PAGES_WITHOUT, renamed_to
from opportune.errors.suggestions import did_you_mean
from opportune.i18n import gettext_lazy
from opportune.project.feature_packages import PREFIX
from opportune.project.layout import PACKAGE
from opportune.web import templates

M = TypeVar("M", bound=Model)

# HTTP method, path, required permission, and whether the route writes.
ROUTES: Mapping[str, tuple[str, str, str, bool]] = {
    "list": ("GET", "", "list", False),
    "create_form": ("GET", "/new", "create", False),
    "create": ("POST", "/new", "create", True),
    "choices": ("GET", "/new/choices", "", False),
    "get": ("GET", "/{key}", "get", False),
    "update_form": ("GET", "/{key}/edit", "update", False),
    "update": ("POST", "/{key}/edit", "update", True),
    "delete_form": ("GET", "/{key}/delete", "delete", False),
    "delete": ("POST", "/{key}/delete", "delete", True),
    "restore": ("POST", "/{key}/restore", "delete", True),
}
LEFT_OUT_WITH = {"create_form": "create", "update_form": "update", "delete_form": "delete", "restore": "delete"}
"""Routes that `without` leaves out together with another one."""

TEMPLATE_CACHE_SECONDS = 1
"""Time for which the choice between the project's template and the default is cached."""

declared_pages: dict[type[Any], list["PageOptions[Any]"]] = {}
"""The pages of each model."""


OPTIONS = ("columns", "fields", "sections", "formats", "without", "name", "plural")


class PageOptions(Generic[M]):
    """The options of `CrudPages`, and its router."""

    columns: Sequence[str] = ()
    """Columns of the list: columns, annotations, relationships (`author`) and columns of related rows (`author.name`).

    By default, the list has the first six short fields."""
    fields: Sequence[str] = ()
    """Fields on the page of one row; by default the fields of the API's response."""
    sections: Sequence[tuple[str, Sequence[str]]] = ()
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
        for option, value in options.items():
            if option not in OPTIONS:
                advice = did_you_mean(option, OPTIONS) or f" There are: {', '.join(OPTIONS)}."
                raise OperatorError(f"{class_name} has no option {option!r}.{advice}")
            setattr(self, option, value)
        self.crud_class = crud_class
        self.path = path
        self.name = gettext_lazy(self.name or label_of_class(crud_class.model))
        self.plural = gettext_lazy(self.plural or label_of_class(crud_class))
        self._templates: dict[str, tuple[object, float, str]] = {}
        for route in self.without:
            if route not in ROUTES:
                names = ", ".join(ROUTES)
                advice = renamed_to(route, PAGES_WITHOUT)
                raise OperatorError(f"{class_name}.without: there is no {route!r}. There are: {names}.{advice}")
        check_declaration(class_name, crud_class, self.columns, self.fields, self.sections)
        declared_pages.setdefault(crud_class.model, []).append(self)

    @cached_property
    def router(self) -> APIRouter:
        """The routes, for `Feature(pages=...)`. Routes that you add to it can replace them."""
        router = ReplaceableRoutes(prefix=self.path)
        for name in ROUTES:
            if self.has(name):
                method, path, _, _ = ROUTES[name]
                router.add_api_route(
                    path.replace("{key}", f"{{{path_parameter_name(self.crud_class)}}}"),
                    self._endpoint(name),
                    methods=[method],
                    name=f"{type(self).__name__}.{name}",
                )
        router.complete()
        return router

    def has(self, name: str) -> bool:
        """Return whether this route exists."""
        if name == "restore" and not self.crud_class.definition.has_trash:
            return False
        return name not in self.without and LEFT_OUT_WITH.get(name, name) not in self.without

    def _endpoint(self, name: str) -> Any:
        _, path, action, is_writing = ROUTES[name]
        method = getattr(self, name)
        crud_class: Any = self.crud_class
        dependency = (writing if is_writing else reading)(crud_class, action)

        async def list_route(request: Request, crud: Annotated[Any, dependency]) -> Response:
            response: Response = await method(request, crud)
            return response

        async def row_route(request: Request, crud: Annotated[Any, dependency], key: Key) -> Response:
            response: Response = await method(request, crud, key)
            return response

        if "{key}" in path:
            return set_route_types(crud_class, row_route, key=path_parameter_type(crud_class))
        return set_route_types(crud_class, list_route)

    def template(self, page: str) -> str:
        """Return the project's template, such as `books/book_list.html`, or the default `crud/list.html`."""
        loader, now = templates.environment.loader, monotonic()
        cached = self._templates.get(page)
        if cached is None or cached[0] is not loader or cached[1] < now:
            name = str(templates.environment.select_template(self._template_names(page)).name)
            cached = self._templates[page] = loader, now + TEMPLATE_CACHE_SECONDS, name
        return cached[2]

    def _template_names(self, page: str) -> list[str]:
        return [f"{self._feature}/{self.crud_class.model.__name__.lower()}_{page}.html", f"crud/{page}.html"]

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
        parts = self.crud_class.__module__.split(".")
        if len(parts) == 1:
            return parts[0].removeprefix(PREFIX)
        folder = parts[1] if parts[0] == PACKAGE else parts[-2]
        return folder.removeprefix(PREFIX)

    def may_create(self, crud: Crud[Any]) -> bool:
        return self.has("create") and crud.may("create")


def pages_of(model: type[Any], among: Sequence[PageOptions[Any]] | None = None) -> PageOptions[Any] | None:
    """Return the pages that others link to: the first pages of the default data layer, else of another one."""
    declared = declared_pages.get(model, ())
    pages = [pages for pages in declared if among is None or pages in among]
    default = default_crud(model) if pages else None
    return min(pages, key=lambda pages: pages.crud_class is not default, default=None)


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
