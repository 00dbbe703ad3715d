"""Statements of a list. Those whose parameters alone depend on the user are cached."""

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Select, bindparam
from sqlalchemy.sql.elements import True_

from opportune.crud.query_schema import CURSOR
from opportune.crud.selection import Selection
from opportune.crud.statements import PAGING, RowStatements
from opportune.db.queries.listing import Cursor, ListStatement, list_statement
from opportune.db.queries.row_count import count_listed_rows
from opportune.db.sessions.trash import hide_deleted
from opportune.i18n import current_language
from opportune.pagination import Paging

OWNER_PARAMETER = "owner"
"""Parameter of cached statements with the id of the user or the team."""


class SelectedList(NamedTuple):
    """Statements of a list of mappings."""

    selection: Selection
    """Columns of a result row."""
    statement: ListStatement


def mapping_statement(crud: RowStatements, query: Paging, names: Sequence[str], cursor: Cursor | None) -> SelectedList:
    """Return the statement of a list. It is cached by order if only its parameters depend on the user."""
    is_shared = crud.definition.shares_statement and not (cursor or query.model_fields_set - PAGING)
    if not is_shared or "." in "".join(names):  # related rows depend on the user
        return _build_statement(crud, query, names, cursor)
    sort = query.sort if query.sort.removeprefix("-") in crud.sort else ""  # a `filter_schema` may allow any text
    statements = crud.definition.list_statements
    key = (crud.session.get_bind().dialect.name, sort, names)
    selected: SelectedList | None = statements.get(key)
    if selected is None:
        selected = statements[key] = _build_statement(crud, query, names)
    return selected


def _build_statement(
    crud: RowStatements, query: Paging, names: Sequence[str], cursor: Cursor | None = None
) -> SelectedList:
    condition = crud.readable()
    if crud.definition.shares_statement:
        owner = bindparam(OWNER_PARAMETER, type_=BigInteger)
        condition = crud.row_permissions.owner_condition(crud.definition.read_permission, owner_id=owner)
    selection = Selection(crud, names)
    rows = select_listed(crud, query, condition)
    count = count_listed(crud, query, rows)
    statement = list_statement(selection.select(rows), count, crud.ordering(query.sort), cursor)
    if not crud.lists_trash(query):
        statement = ListStatement(*map(hide_deleted, statement))
    return SelectedList(selection, statement)


def select_listed(crud: RowStatements, query: Paging, readable: ColumnElement[bool]) -> Select[Any]:
    """Return the statement of all rows of a list."""
    conditions = [condition for condition in (readable, *crud.conditions(query)) if not isinstance(condition, True_)]
    return crud.query().where(*conditions)


def count_listed(crud: RowStatements, query: Paging, rows: Select[Any]) -> Select[int]:
    """Return the statement that counts rows. Their number is remembered only for a list with a `list_identity`."""
    is_table = rows.whereclause is None and list_identity(crud, query) is not None
    return count_listed_rows(crud.session, rows, crud.model.id, crud.model if is_table else None)


def list_identity(crud: RowStatements, query: Paging) -> Hashable:
    """Return a value that is equal for lists of the same rows. None if methods of the project select rows."""
    names = query.model_fields_set - PAGING - {CURSOR}
    if not crud.definition.shares_statement or not names.isdisjoint(crud.definition.filter_methods):
        return None
    permissions = crud.row_permissions
    user_id = permissions.user.id if permissions.user else None
    team_id = permissions.team.id if permissions.team else None
    filters = [(name, repr(getattr(query, name))) for name in sorted(names)]
    return (crud.definition, user_id, team_id, current_language.get(), *filters)
