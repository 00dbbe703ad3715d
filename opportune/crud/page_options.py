"""Options of `CrudPages`, and the pages that others link to."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from inspect import get_annotations
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import quote

from fastapi import APIRouter

from opportune.crud.columns import ListColumn, check_declaration, list_columns
from opportune.crud.crud import Crud
from opportune.crud.formats import Format
from opportune.crud.page_routes import LEFT_OUT_WITH, ROUTES, page_router
from opportune.crud.page_templates import PageTemplates
from opportune.crud.registry import default_crud
from opportune.db.models.labels import label_of_class
from opportune.db.models.model import Model
from opportune.errors import OperatorError
from opportune.errors.arguments import strict_as
from opportune.errors.option_constraints import DISTINCT, Names
from opportune.errors.option_types import describe_mismatch
from opportune.errors.renamed_names import PAGES_WITHOUT, renamed_to
from opportune.errors.suggestions import did_you_mean
from opportune.i18n import gettext_lazy

M = TypeVar("M", bound=Model)

declared_pages: dict[type[Any], list["PageOptions[Any]"]] = {}
"""The pages of each model."""


@strict_as("CrudPages")
class PageOptions(Generic[M]):
    """The options of `CrudPages`, which are checked when a site declares pages."""

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
        self._set_options(options)
        self._check_without()
        self.crud_class = crud_class
        self.path = path
        self.name = gettext_lazy(self.name or label_of_class(crud_class.model))
        self.plural = gettext_lazy(self.plural or label_of_class(crud_class))
        self._templates = PageTemplates(crud_class)
        check_declaration(self)
        declared_pages.setdefault(crud_class.model, []).append(self)

    def _set_options(self, options: Mapping[str, Any]) -> None:
        """Set options that replace those of the class.

        Raises:
            OperatorError: An option does not exist, or its value has another type.
        """
        class_name = type(self).__name__
        types = get_annotations(PageOptions)
        for option, value in options.items():
            if option not in types:
                advice = did_you_mean(option, types) or f" There are: {', '.join(types)}."
                raise OperatorError(f"{class_name} has no option {option!r}.{advice}")
            if mismatch := describe_mismatch(value, types[option]):
                raise OperatorError(f"{class_name}({option}=…) {mismatch}.")
            setattr(self, option, value)

    def _check_without(self) -> None:
        for route in self.without:
            if route not in ROUTES:
                advice = f"There are: {', '.join(ROUTES)}.{renamed_to(route, PAGES_WITHOUT)}"
                raise OperatorError(f"{type(self).__name__}.without: there is no {route!r}. {advice}")

    @cached_property
    def router(self) -> APIRouter:
        """The routes, for `Feature(pages=...)`. Routes that you add to it can replace them."""
        methods = {name: getattr(self, name) for name in ROUTES if self.has(name)}
        return page_router(self.crud_class, self.path, type(self).__name__, methods)

    def has(self, name: str) -> bool:
        """Return whether this route exists."""
        is_possible = name != "restore" or self.crud_class.definition.has_trash
        return is_possible and name not in self.without and LEFT_OUT_WITH.get(name, name) not in self.without

    def template(self, page: str) -> str:
        """Return the project's template, such as `books/book_list.html`, or the default `crud/list.html`."""
        return self._templates.find(page)

    def url_of(self, row: Any) -> str:
        """Return the URL of a row's page. The row may be a mapping."""
        lookup = self.crud_class.lookup
        key = row[lookup] if isinstance(row, Mapping) else getattr(row, lookup)
        if isinstance(key, str):
            key = quote(key, safe="")
        return f"{self.path}/{key}"

    def link_of(self, crud: Crud[Any]) -> Callable[[Any], str]:
        """Return the function for the links of rows in lists: to their pages or, without those, to their forms."""
        if self.has("get"):
            return self.url_of if crud.may("get") else lambda _row: ""
        has_forms = self.has("update") and crud.may("update") and crud.writable_by("update").compare(crud.readable())
        return lambda row: f"{self.url_of(row)}/edit" if has_forms else ""

    @cached_property
    def list_columns(self) -> list[ListColumn]:
        return list_columns(self.crud_class, self.columns, self.formats)

    def may_create(self, crud: Crud[Any]) -> bool:
        return self.has("create") and crud.may("create")


def pages_of(model: type[Any], among: Sequence[PageOptions[Any]] | None = None) -> PageOptions[Any] | None:
    """Return the pages that others link to: the first pages of the default data layer, else of another one."""
    declared = declared_pages.get(model, ())
    candidates = [pages for pages in declared if among is None or pages in among]
    default = default_crud(model) if candidates else None
    return min(candidates, key=lambda pages: pages.crud_class is not default, default=None)


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
