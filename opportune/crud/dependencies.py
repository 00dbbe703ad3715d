"""Dependencies that create a data layer for a route: `books: Annotated[Books, reading(Books)]`, and fast paths.

The fast paths of lists and new rows skip FastAPI's dependency resolution and the ORM, which take most time.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache, partial
from typing import Annotated, Any, TypeVar

from fastapi import Depends, HTTPException, Request
from pydantic import BaseModel, ValidationError
from sqlalchemy import Insert, insert, inspect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapper
from sqlmodel import SQLModel
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect

from opportune.accounts.dependencies import get_current_user, get_optional_user, make_sign_in_error
from opportune.accounts.groups.permissions import get_grants
from opportune.accounts.models import User
from opportune.crud.access import Access
from opportune.crud.crud import Crud
from opportune.crud.options import WRITE_ACTIONS
from opportune.crud.teams import Team
from opportune.db.constraint_errors import translate_database_errors
from opportune.db.database import Session
from opportune.db.hooks.registry import AddedRow, rows_added_with
from opportune.db.queries.dependent_statement import DependentStatement
from opportune.db.queries.trash_conflicts import explain_trash_conflict
from opportune.db.sessions.dependencies import ReadSession, WriteSession
from opportune.errors import FieldErrors
from opportune.pagination import Paging

C = TypeVar("C", bound=Crud[Any])


@cache
def reading(crud_class: type[C], action: str = "") -> Any:
    """Return a dependency that creates a data layer for the current user, for a route that only reads.

    Tests can override it: `app.dependency_overrides[reading(Books).dependency] = ...`.

    Args:
        crud_class: The data layer, such as `Books`.
        action: Permission that the route needs, such as `list` or `export`. Users without it get 403, and anonymous
            visitors are sent to the sign-in page.

    Returns:
        The dependency: `books: Annotated[Books, reading(Books, "list")]`.
    """
    get_user = _user_dependency(crud_class.definition.read_access)

    async def read(request: Request, session: ReadSession, user: Annotated[User | None, Depends(get_user)]) -> C:
        return await open_crud(crud_class, request, session, user, action)

    return Depends(read)


@cache
def writing(crud_class: type[C], action: str = "") -> Any:
    """Return a dependency like `reading`, for a route that writes. The changes are committed before the response.

    Args:
        crud_class: The data layer, such as `Books`.
        action: Permission that the route needs, such as `edit`.

    Returns:
        The dependency: `books: Annotated[Books, writing(Books, "edit")]`.
    """
    get_user = _user_dependency(crud_class.definition.write_access)

    async def write(request: Request, session: WriteSession, user: Annotated[User | None, Depends(get_user)]) -> C:
        return await open_crud(crud_class, request, session, user, action, writes=True)

    return Depends(write)


def _user_dependency(access: Access) -> Any:
    return get_optional_user if access is Access.ANYONE else get_current_user


async def open_crud(
    crud_class: type[C],
    request: Request,
    session: AsyncSession,
    user: User | None,
    action: str = "",
    *,
    writes: bool = False,
) -> C:
    """Create a data layer for a user, with the grants and the team that its rules need.

    Raises:
        HTTPException: The user may not do the action, or has to sign in first.
    """
    needs_grants = user is not None and not user.is_superuser and crud_class.needs_grants()
    grants = await get_grants(request) if needs_grants else frozenset()
    team = await _find_team(crud_class, request, session, user, writes=writes, action=action)
    crud = crud_class(session, user, grants, team)
    if action and not crud.may(action):
        raise make_sign_in_error(request) if user is None else HTTPException(403)
    return crud


async def _find_team(
    crud_class: type[Crud[Any]],
    request: Request,
    session: AsyncSession,
    user: User | None,
    *,
    writes: bool,
    action: str,
) -> Team | None:
    owners = crud_class.team_owners() if user else None
    if owners is None:
        return None
    definition = crud_class.definition
    access = definition.write_access if writes or action in WRITE_ACTIONS else definition.read_access
    return await owners.find(request, session, definition.belongs_to_team and access is Access.OWNER, writes)


INSERT_METHODS = ("add", "assign", "new_row", "column", "query", "get", "written")
"""Methods that add a row and read its response. If a class overrides one, the fast path is not used."""


@asynccontextmanager
async def open_directly(
    crud_class: type[Crud[Any]], request: Request, *, writes: bool, action: str = ""
) -> AsyncIterator[Crud[Any]]:
    """Yield the data layer that the dependencies `reading` and `writing` would return."""
    access = crud_class.definition.write_access if writes else crud_class.definition.read_access
    user = await get_optional_user(request)
    if user is None and access is not Access.ANYONE:
        raise make_sign_in_error(request)
    database = request.app.state.database
    async with database.writer() if writes else database.reader() as session:
        yield await open_crud(crud_class, request, session, user, action, writes=writes)


def read_filter(crud_class: type[Crud[Any]], params: QueryParams) -> Paging | None:
    """Return the query of a list, or None if FastAPI has to validate it."""
    values: dict[str, Any] = {}
    if params:
        filters = crud_class.definition.filters
        if crud_class.filter_schema or not params.keys() <= Paging.model_fields.keys() | filters.keys():
            return None
        for name in params:
            takes_list = name in filters and filters[name].takes_many
            values[name] = params.getlist(name) if takes_list else params[name]
    try:
        return crud_class.definition.filter_schema.model_validate(values)
    except ValidationError:
        return None


async def read_body(schema: type[BaseModel], request: Request) -> BaseModel | None:
    """Return the validated JSON body, or None if FastAPI has to read it or report its errors."""
    if request.headers.get("content-type") != "application/json":
        return None
    try:
        return schema.model_validate(json.loads(await request.body()))
    except (ValueError, RecursionError, ClientDisconnect):  # ValidationError is a ValueError
        return None


async def insert_row(crud: Crud[Any], new: BaseModel) -> dict[str, Any] | None:
    """Insert and commit a row without the ORM, and return the values of the response by name.

    Return None without writing if this is not possible: the row has links or references, the class overrides a method,
    a hook does more than add a row, or the response needs a query.
    """
    crud_class: Any = type(crud)
    session, added = crud.session, rows_added_with(crud_class.model)
    if not isinstance(session, Session) or added is None or not is_single_insert(crud_class):
        return None
    if any(_has_listeners(inspect(addition.model)) for addition in added):
        return None
    crud.require("create")
    row = crud.new_row()
    attributes = vars(row) | {name: getattr(new, name) for name in type(new).model_fields}
    if (values := _column_values(crud_class, attributes)) is None:
        return None
    statement, names = _insert_statement(crud_class, returns_defaults=bool(added))

    def values_of(addition: AddedRow, rows: Sequence[Sequence[Any]]) -> Mapping[str, Any] | None:
        vars(row).update(attributes, **dict(zip(names, rows[0], strict=True)))
        return addition.values(row)

    hook_rows = [DependentStatement(*_hook_insert(addition.model), partial(values_of, addition)) for addition in added]
    try:
        with translate_database_errors(crud_class.model.__table__):
            stored = await session.write_and_commit(statement, values, hook_rows)
    except FieldErrors as error:
        raise await explain_trash_conflict(session, crud_class.model, error, values) from error
    # The values of the response come first.
    return dict(zip(crud_class.definition.serializer.names, stored[0], strict=False)) if stored else None


def _column_values(crud_class: type[Crud[Any]], attributes: dict[str, Any]) -> dict[str, Any] | None:
    """Return the values to insert by column, or None if the row has links or refers to another row."""
    shape = crud_class.definition.shape
    del attributes[shape.mapper.class_manager.STATE_ATTR]
    if attributes.keys() - shape.columns.keys():
        return None
    if any(attributes.get(name) is not None for name in shape.references.keys() - crud_class.definition.owners):
        return None
    columns = ((shape.columns[name], value) for name, value in attributes.items())
    # As in the ORM, columns with None are left out, unless the column type stores None as a value.
    return {column.key: value for column, value in columns if value is not None or column.type.should_evaluate_none}


@cache
def is_single_insert(crud_class: Any) -> bool:
    """Return whether a new row needs only one INSERT: one table, no overridden methods, locked fields or listeners."""
    definition, mapper = crud_class.definition, crud_class.definition.shape.mapper
    is_default = all(getattr(crud_class, name) is getattr(Crud, name) for name in INSERT_METHODS)
    if not is_default or len(mapper.tables) > 1 or definition.field_rules.locks or _has_listeners(mapper):
        return False
    names, columns = definition.create_schema.model_fields.keys(), definition.shape.columns.keys()
    if not {*definition.serializer.names, *names} <= columns:
        return False
    has_setters = crud_class.model.__setattr__ is not SQLModel.__setattr__ or mapper.validators
    return not (has_setters or any(getattr(crud_class.model, name).dispatch.set for name in names))


def _has_listeners(mapper: Mapper[Any]) -> bool:
    return bool(mapper.dispatch.before_insert or mapper.dispatch.after_insert)


@cache
def _insert_statement(crud_class: Any, *, returns_defaults: bool) -> tuple[Insert, Sequence[str]]:
    """Return the INSERT of a row and the names of the values that it returns.

    These are the values of the response. With `returns_defaults`, it also returns values that the database sets.
    """
    columns = crud_class.definition.shape.columns
    defaults = [name for name, column in columns.items() if column.primary_key or column.server_default is not None]
    names = [*dict.fromkeys((*crud_class.definition.serializer.names, *(defaults if returns_defaults else ())))]
    return insert(crud_class.model.__table__).returning(*(columns[name] for name in names)), names


@cache
def _hook_insert(model: Any) -> tuple[Insert, Sequence[str]]:
    """Return the INSERT of a row that a hook adds, and the names of its values."""
    table = model.__table__
    keys = [*table.primary_key.columns]
    return insert(table).returning(*keys), [column.key for column in table.columns if column not in keys]
