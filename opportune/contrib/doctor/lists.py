"""Statements of the first pages of lists, in the admin and in the data layers of pages and APIs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any

from fastapi import FastAPI
from sqlalchemy import ColumnElement, Select, inspect
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import QueryParams
from starlette.requests import Request

from opportune.accounts.models import User
from opportune.accounts.sessions.lookup import ALL_PERMISSIONS
from opportune.admin.current_request import use_request
from opportune.admin.lists.choice_filters import ChoiceFilter
from opportune.admin.lists.filters import LookupFilter, TextFilter
from opportune.admin.lists.order import default_order
from opportune.admin.lists.parameters import narrow_by_index
from opportune.admin.lists.range_filters import RangeFilter
from opportune.admin.site import make_site
from opportune.admin.views import AdminView
from opportune.config.settings import Settings
from opportune.crud import Crud
from opportune.crud.registry import crud_classes
from opportune.db.database import Database
from opportune.db.models.choices import choices_of
from opportune.db.models.columns import is_text
from opportune.db.models.row_ids import MAX_ID
from opportune.db.models.translated import is_translated
from opportune.db.queries.indexed_search import narrow_search
from opportune.db.queries.paths import parse_path
from opportune.db.sessions.trash import hide_deleted
from opportune.errors import OperatorError
from opportune.feature import Feature
from opportune.project.layout import is_framework_class

ROWS_PER_PAGE = 25
RARE_WORD = "qxzvjk"
"""Text that no row contains, so that a search without an index reads all rows."""
RARE_VALUES: dict[type[Any], Any] = {
    bool: True,
    int: -7_919,
    float: -7_919.0,
    Decimal: Decimal(-7_919),
    str: RARE_WORD,
    datetime: datetime(1905, 5, 5, tzinfo=UTC),
    date: date(1905, 5, 5),
    time: time(3, 33, 33),
}
RARE_TEXTS = {"number": "-7919", "date": "1905-05-05", "time": "03:33:33"}


@dataclass(frozen=True)
class ListStatement:
    """The first page of a list, as a superuser sees it."""

    list_name: str
    """The list in a message, such as `admin list of Books`."""
    model: type[Any]
    statement: Select[Any]
    use: str = "default order"
    """The part of the list's declaration that this page uses."""
    path: str = ""
    """Column that this part uses, or a path such as `author.name`."""
    is_lowercase: bool = False
    """Whether the statement compares or sorts by `lower(column)`."""
    wants_index: bool = True
    """Whether an index helps. By default lists filter by all columns, and an index for each would cost too much."""

    def __str__(self) -> str:
        return f"{self.list_name}, {self.use}"

    @property
    def table(self) -> str:
        return str(self.model.__tablename__)

    @property
    def is_sorted(self) -> bool:
        """Whether the page has an order and neither a filter nor a search."""
        return self.use.startswith(("default order", "order "))

    @property
    def remedy(self) -> tuple[str, str]:
        """Table and index, which several lists may need."""
        return self.table, self.index or str(self)

    @property
    def index(self) -> str:
        """The index that the page needs, as an instruction; empty if the project cannot add one."""
        if is_framework_class(self.model):
            return ""
        if self.use == "search":
            return f"set search_index on {self.model.__name__} (oppman.py docs search)"
        try:
            path = parse_path(inspect(self.model), self.path)
        except LookupError:  # an annotation
            return ""
        name, column = path.end.class_.__name__, path.end.columns[path.name]
        if column.primary_key or is_translated(column):
            return ""
        if self.is_lowercase:
            index = f'Index("ix_{path.end.class_.__tablename__}_{path.name}_lower", text("lower({path.name})"))'
            return f"add {index} to {name}"
        return f"add index=True to {name}.{path.name}"


async def read_lists(
    settings: Settings, database: Database, session: AsyncSession, features: Sequence[Feature]
) -> tuple[list[ListStatement], list[str]]:
    """Return the statements of the admin's views and of the features' data layers, without running them.

    The second list has a line for each class whose methods fail outside of a request.
    """
    user = User(id=1, email="", hashed_password="", is_superuser=True)
    # Views read the user and their options from a request of a site.
    app = FastAPI()
    app.state.settings = settings
    app.state.database = database
    app.state.features = features
    state = {"user": user, "permissions": ALL_PERMISSIONS, "impersonator": None}
    scope = {"type": "http", "method": "GET", "path": "/admin", "headers": [], "app": app, "state": state}
    views = [view for view in make_site(app, "/admin").views if isinstance(view, AdminView)]
    models = dict.fromkeys(model for feature in features for model in feature.models)
    classes = [crud_class for model in models for crud_class in crud_classes.get(model, ())]
    layers = [crud_class(session, user, ALL_PERMISSIONS) for crud_class in classes]
    declarations: list[AdminView | Crud[Any]] = [*views, *layers]
    statements: list[ListStatement] = []
    faults: list[str] = []
    for declared in declarations:
        try:
            statements += await _statements_of(declared, session, scope)
        except OperatorError as error:
            faults.append(str(error))
    return statements, faults


async def _statements_of(
    declared: AdminView | Crud[Any], session: AsyncSession, scope: dict[str, Any]
) -> list[ListStatement]:
    """Return the statements of a view or a data layer."""
    try:
        async with session.begin_nested():
            if isinstance(declared, AdminView):
                if declared.names.searched:
                    await narrow_by_index(session, declared, RARE_WORD)
                return [*_statements_of_view(declared, scope)]
            searched = [parse_path(declared.definition.shape.mapper, path) for path in declared.search_paths]
            narrowed = await narrow_search(session, searched, RARE_WORD, declared.visible)
            return [*_statements_of_crud(declared, narrowed)]
    except Exception as error:
        name = type(declared).__name__
        raise OperatorError(f"{name} cannot be examined ({type(error).__name__}: {error})") from error


def _statements_of_view(view: AdminView, scope: dict[str, Any]) -> Iterator[ListStatement]:
    request = Request({**scope, "query_string": b""})
    with use_request(request):
        rows = view.list_query(request)
        first = ListStatement(f"admin list of {view.name_plural}", view.model, _page(view.sort_query(rows, request)))
        yield replace(first, path=view.names.of(default_order(view)[0][0]))
        yield from _filtered_statements(view, request, rows, first)
        if view.column_sortable_list:
            for path in view.names.sortable:
                page = _page(view.sort_query(rows, Request({**scope, "query_string": f"sortBy={path}".encode()})))
                yield replace(first, statement=page, use=f"order {path}", path=path)
        if view.names.searched:
            page = _page(view.sort_query(view.search_query(rows, RARE_WORD), request))
            yield replace(first, statement=page, use="search", wants_index=bool(view.column_searchable_list))


def _filtered_statements(
    view: AdminView, request: Request, rows: Select[Any], first: ListStatement
) -> Iterator[ListStatement]:
    for filter_ in view.get_filters():
        query = _rare_query(filter_)
        condition = filter_.condition(QueryParams(query)) if query else None
        if condition is not None:
            path = ".".join([*(relation.key for relation in filter_.path.relations), filter_.path.name])
            page = _page(view.sort_query(rows.where(condition), request))
            wants_index = bool(view.column_filters) and not isinstance(filter_, ChoiceFilter)
            yield replace(first, statement=page, use=f"filter {path}", path=path, wants_index=wants_index)


def _rare_query(filter_: Any) -> dict[str, str]:
    """Return the parameters of a filter for a value that few rows have; empty for a filter of another class."""
    match filter_:
        case ChoiceFilter() if filter_.choices:
            return {filter_.parameter_name: [*filter_.choices][-1]}
        case LookupFilter():
            return {filter_.parameter_name: str(MAX_ID)}
        case RangeFilter():
            return {filter_.parameter_name: RARE_TEXTS[filter_.input_type]}
        case TextFilter():
            return {filter_.parameter_name: RARE_WORD, filter_.operation_name: "equals"}
    return {}


def _statements_of_crud(crud: Crud[Any], narrowed: Sequence[ColumnElement[bool]]) -> Iterator[ListStatement]:
    rows = crud.query().where(crud.readable())
    order = crud.ordering("")
    first = ListStatement(f"list of {type(crud).__name__}", crud.model, _page(rows.order_by(*order)))
    default = crud.order[0].removeprefix("-") if crud.order else "id"
    yield replace(first, path=default, is_lowercase=_is_lowercase(crud, default))
    for name, filter_ in crud.definition.filters.items():
        value = _rare_value(crud, filter_.name)
        if name == filter_.name and value is not None:
            page = _page(rows.where(filter_.condition(crud.visible, value)).order_by(*order))
            wants_index = value is not True and not choices_of(crud.model, name)
            yield replace(first, statement=page, use=f"filter {name}", path=name, wants_index=wants_index)
    for path in crud.sort:
        page = _page(rows.order_by(*crud.ordering(path)))
        yield replace(first, statement=page, use=f"order {path}", path=path, is_lowercase=_is_lowercase(crud, path))
    if crud.search_paths:
        conditions = crud.conditions(crud.Filter.model_validate({"q": RARE_WORD}))
        page = _page(rows.where(*conditions, *narrowed).order_by(*order))
        yield replace(first, statement=page, use="search")


def _is_lowercase(crud: Crud[Any], path: str) -> bool:
    columns = crud.definition.shape.columns
    return "." in path or (path in columns and is_text(columns[path]))


def _rare_value(crud: Crud[Any], name: str) -> Any:
    """Return a value for a filter that few rows have; None if values of the type are unknown."""
    shape = crud.definition.shape
    if name in shape.links:
        return [MAX_ID]
    column = shape.columns[shape.column_of(name) if name in shape.to_one else name]
    if column.foreign_keys:
        return MAX_ID
    type_ = column.type.python_type
    return [*type_][-1] if issubclass(type_, Enum) else RARE_VALUES.get(type_)


def _page(statement: Select[Any]) -> Select[Any]:
    return hide_deleted(statement.limit(ROWS_PER_PAGE))
