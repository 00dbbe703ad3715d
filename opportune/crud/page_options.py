"""What a project says of the pages of a model, and the routes that there are of them."""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from time import monotonic
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import quote

from fastapi import APIRouter, Request, Response

from opportune.accounts.dependencies import get_optional_user
from opportune.config.project import PACKAGE
from opportune.crud.columns import ListColumn, check_declaration, list_columns
from opportune.crud.crud import Crud, Key
from opportune.crud.dependencies import reading, writing
from opportune.crud.direct import opened
from opportune.crud.display import Format
from opportune.crud.routes import ReplaceableRoutes, as_route_of, key_name, key_type
from opportune.db.models.columns import label_of
from opportune.db.models.model import Model
from opportune.errors import OperatorError
from opportune.web import templates
from opportune.web.direct_route import DirectRoute, answering

M = TypeVar("M", bound=Model)

# Method, path, what somebody has to be allowed, and whether it changes something.
ROUTES: Mapping[str, tuple[str, str, str, bool]] = {
    "index": ("GET", "", "list", False),
    "new": ("GET", "/new", "create", False),
    "create": ("POST", "/new", "create", True),
    "choices": ("GET", "/new/choices", "", False),
    "detail": ("GET", "/{key}", "details", False),
    "edit": ("GET", "/{key}/edit", "edit", False),
    "update": ("POST", "/{key}/edit", "edit", True),
    "confirm_delete": ("GET", "/{key}/delete", "delete", False),
    "delete": ("POST", "/{key}/delete", "delete", True),
}
LEFT_OUT_WITH = {"create": "new", "update": "edit", "confirm_delete": "delete", "choices": "choices"}
"""Routes that go with another one."""

TEMPLATE_SECONDS = 1
"""Seconds for which it is cached whether the project has its own template."""

pages_of: dict[type[Any], "PageOptions[Any]"] = {}
"""By model the pages to which other pages lead: the first that are made."""


class PageOptions(Generic[M]):
    """The options of `CrudPages`, checked."""

    columns: Sequence[str] = ()
    """What the list shows: columns, what is computed, rows that are pointed at (`author`) and columns of them."""
    fields: Sequence[str] = ()
    """What the page of one row shows; by default all that is answered."""
    sections: Sequence[tuple[str, Sequence[str]]] = ()
    """The fields of the form under headings."""
    formats: Mapping[str, Format] = {}
    """How values are shown, by column: a function that gives text, or HTML as Markup."""
    without: Sequence[str] = ()
    """Routes that there are not: `("delete",)`."""
    name: str = ""
    """What a row is called: "Book"."""
    plural: str = ""

    def __init__(self, kind: type[Crud[M]], path: str, **options: Any) -> None:
        for option, value in options.items():
            if option not in PageOptions.__annotations__:
                raise OperatorError(f"{self._called}: there is no option {option!r}.")
            setattr(self, option, value)
        self.kind = kind
        self.path = path
        self.name = self.name or label_of(_words(kind.model.__name__))
        self.plural = self.plural or label_of(_words(kind.__name__))
        self._templates: dict[str, tuple[object, float, str]] = {}
        self._check()
        pages_of.setdefault(kind.model, self)

    def _check(self) -> None:
        for route in self.without:
            if route not in ROUTES:
                raise OperatorError(f"{self._called}.without: there is no {route!r}. There are: {', '.join(ROUTES)}.")
        check_declaration(self._called, self.kind, self.columns, self.fields, self.sections)

    @property
    def _called(self) -> str:
        return type(self).__name__

    @cached_property
    def router(self) -> APIRouter:
        """The routes, for `Feature(pages=…)`. Routes of one's own on it come before them."""
        router = ReplaceableRoutes(prefix=self.path)
        for name in ROUTES:
            if self.has(name):
                method, path, _, _ = ROUTES[name]
                router.add_api_route(
                    path.replace("{key}", f"{{{key_name(self.kind)}}}"),
                    self._endpoint(name),
                    methods=[method],
                    route_class_override=DirectRoute,
                    name=f"{self._called}.{name}",
                )
        router.complete()
        return router

    def has(self, name: str) -> bool:
        """Whether there is this route."""
        return name not in self.without and LEFT_OUT_WITH.get(name, name) not in self.without

    def _endpoint(self, name: str) -> Any:
        _, path, action, changes = ROUTES[name]
        method = getattr(self, name)
        kind: Any = self.kind
        rows = (writing if changes else reading)(kind, action)

        async def of_all(request: Request, crud: Annotated[Any, rows]) -> Response:
            answer: Response = await method(request, crud)
            return answer

        async def of_one(request: Request, crud: Annotated[Any, rows], key: Key) -> Response:
            answer: Response = await method(request, crud, key)
            return answer

        async def direct(request: Request) -> Response:
            async with opened(kind, request, writes=False, action=action) as crud:
                return await of_all(request, crud)

        if "{key}" not in path:
            if not changes:
                answering(of_all, direct, covers=(get_optional_user,))
            return as_route_of(kind, of_all)
        return as_route_of(kind, of_one, key=key_type(kind))

    def template(self, page: str) -> str:
        """The project's own where there is one: `books/book_list.html`, else `crud/list.html`."""
        loader, now = templates.environment.loader, monotonic()
        known = self._templates.get(page)
        if known is None or known[0] is not loader or known[1] < now:
            own = f"{self._feature}/{self.kind.model.__name__.lower()}_{page}.html"
            name = str(templates.environment.select_template([own, f"crud/{page}.html"]).name)
            known = self._templates[page] = loader, now + TEMPLATE_SECONDS, name
        return known[2]

    def address(self, row: Any) -> str:
        """Of the page of a row."""
        key = row[self.kind.lookup] if isinstance(row, dict | Mapping) else getattr(row, self.kind.lookup)
        return f"{self.path}/{quote(key, safe='') if isinstance(key, str) else key}"

    @cached_property
    def shown_columns(self) -> list[ListColumn]:
        """The columns of the list, each with the way to show it."""
        return list_columns(self.kind, self.columns, self.formats)

    @property
    def _feature(self) -> str:
        """The folder of the templates: the feature that declares the data layer."""
        parts = self.kind.__module__.split(".")
        return parts[1] if parts[0] == PACKAGE and len(parts) > 1 else parts[max(len(parts) - 2, 0)]

    def may_create(self, crud: Crud[Any]) -> bool:
        return self.has("new") and crud.may("create")


def add_url(crud: Crud[Any], model: type[Any]) -> str:
    """The address of the form of a new row of a model; empty where there is none, or for who may not add one."""
    pages = pages_of.get(model)
    other = pages and pages.kind(crud.session, crud.user, crud.grants, crud.team)
    return f"{pages.path}/new" if pages and other and pages.may_create(other) else ""


def address_of(row: Any) -> str:
    """Of the page of any row; empty where it has none."""
    pages = pages_of.get(type(row))
    return pages.address(row) if pages and pages.has("detail") else ""


def _words(name: str) -> str:
    """`BookReview` as `book_review`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
