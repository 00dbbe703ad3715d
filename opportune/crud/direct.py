"""Requests for lists and new rows, read and written without FastAPI and the ORM, which take most of their time."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache, partial
from typing import Any

from fastapi import Request
from pydantic import BaseModel, ValidationError
from sqlalchemy import Insert, insert, inspect
from sqlalchemy.orm import Mapper
from sqlmodel import SQLModel
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect

from opportune.accounts.dependencies import get_optional_user, sign_in_required
from opportune.crud.access import Access
from opportune.crud.crud import Crud
from opportune.crud.dependencies import open_crud
from opportune.db.constraint_errors import translate_database_errors
from opportune.db.database import Session
from opportune.db.hooks.registry import AddedRow, rows_added_with
from opportune.db.queries.dependent_statement import Following
from opportune.pagination import Paging

ADDING = ("add", "assign", "new_row", "column", "query", "get", "written")
"""What a new row and its answer go through, usually."""


@asynccontextmanager
async def opened(
    kind: type[Crud[Any]], request: Request, *, writes: bool, action: str = ""
) -> AsyncIterator[Crud[Any]]:
    """What `reading(kind, action)` and `writing(kind, action)` give a route."""
    access = kind.definition.write_access if writes else kind.definition.read_access
    user = await get_optional_user(request)
    if user is None and access is not Access.ANYONE:
        raise sign_in_required(request)
    database = request.app.state.database
    async with database.writer() if writes else database.reader() as session:
        yield await open_crud(kind, request, session, user, action, writes=writes)


def read_wanted(kind: type[Crud[Any]], sent: QueryParams) -> Paging | None:
    """The query of a list, or None where FastAPI has to look at it."""
    found: dict[str, Any] = {}
    if sent:
        filters = kind.definition.filters
        if kind.filter_schema or not sent.keys() <= Paging.model_fields.keys() | filters.keys():
            return None
        for name in sent:
            found[name] = sent.getlist(name) if name in filters and filters[name].takes_many else sent[name]
    try:
        return kind.definition.filter_schema.model_validate(found)
    except ValidationError:
        return None


async def read_new(schema: type[BaseModel], request: Request) -> BaseModel | None:
    """What a body of JSON says, or None where FastAPI has to look at it."""
    if request.headers.get("content-type") != "application/json":
        return None
    try:
        return schema.model_validate(json.loads(await request.body()))
    except (ValueError, RecursionError, ClientDisconnect):  # pydantic's ValidationError too
        return None


async def add_alone(crud: Crud[Any], new: BaseModel) -> dict[str, Any] | None:
    """As `crud.add`, by statements that are committed with it. Returns the values of the response by name.

    None before anything is done where more has to be done: hooks that do more than add a row, links, rows that are
    pointed at, a method of the project, or a response that only a query knows.
    """
    kind: Any = type(crud)
    session, added = crud.session, rows_added_with(kind.model)
    if not isinstance(session, Session) or added is None or not is_one_statement(kind):
        return None
    if any(_has_listeners(inspect(each.model)) for each in added):
        return None
    crud.require("create")
    row = crud.new_row()
    given = vars(row) | {name: getattr(new, name) for name in type(new).model_fields}
    if (values := _plain_values(kind, given)) is None:
        return None
    statement, names = _insertion(kind, returns_all=bool(added))

    def added_values(each: AddedRow, rows: Sequence[Sequence[Any]]) -> Mapping[str, Any] | None:
        vars(row).update(given, **dict(zip(names, rows[0], strict=True)))
        return each.values(row)

    following = [Following(*_addition(each.model), partial(added_values, each)) for each in added]
    with translate_database_errors(kind.model.__table__):
        stored = await session.write_alone(statement, values, following)
    # The values of the response come first.
    return dict(zip(kind.definition.answers.names, stored[0], strict=False)) if stored else None


def _plain_values(kind: type[Crud[Any]], given: dict[str, Any]) -> dict[str, Any] | None:
    """What is stored of a row, by column; None where it has more than columns, or points at a row."""
    shape = kind.definition.shape
    del given[shape.mapper.class_manager.STATE_ATTR]
    if given.keys() - shape.columns.keys():
        return None
    if any(given.get(name) is not None for name in shape.references.keys() - {kind.owner}):
        return None
    columns = ((shape.columns[name], value) for name, value in given.items())
    # As the ORM: what is None is left to the database, unless its type makes something of it.
    return {column.key: value for column, value in columns if value is not None or column.type.should_evaluate_none}


@cache
def is_one_statement(kind: Any) -> bool:
    """Whether a new row is no more than its columns, but for hooks, and nobody has a part in how it comes to be."""
    definition, mapper = kind.definition, kind.definition.shape.mapper
    is_plain = len(mapper.tables) == 1 and all(getattr(kind, name) is getattr(Crud, name) for name in ADDING)
    is_plain = is_plain and not definition.field_rules.locks
    given, columns = definition.create_schema.model_fields.keys(), definition.shape.columns.keys()
    if not is_plain or _has_listeners(mapper) or not {*definition.answers.names, *given} <= columns:
        return False
    is_set = kind.model.__setattr__ is not SQLModel.__setattr__ or mapper.validators
    return not (is_set or any(getattr(kind.model, name).dispatch.set for name in given))


def _has_listeners(mapper: Mapper[Any]) -> bool:
    return bool(mapper.dispatch.before_insert or mapper.dispatch.after_insert)


@cache
def _insertion(kind: Any, *, returns_all: bool) -> tuple[Insert, Sequence[str]]:
    """Return the statement of a new row, and the names of what it returns.

    These are the values of the response. `returns_all` adds the values that the database makes.
    """
    columns = kind.definition.shape.columns
    made = [name for name, column in columns.items() if column.primary_key or column.server_default is not None]
    names = [*dict.fromkeys((*kind.definition.answers.names, *(made if returns_all else ())))]
    return insert(kind.model.__table__).returning(*(columns[name] for name in names)), names


@cache
def _addition(model: Any) -> tuple[Insert, Sequence[str]]:
    """Return the statement of a row that a hook adds, and the names of its values."""
    table = model.__table__
    keys = [*table.primary_key.columns]
    return insert(table).returning(*keys), [column.key for column in table.columns if column not in keys]
