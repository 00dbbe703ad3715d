"""Insertion of new rows with one `INSERT … RETURNING`, and their hooks. CRUD and the admin add all rows here.

A statement is faster than SQLAlchemy's unit of work, so a flush of a single new row also uses it. The
unit of work still writes rows that need it: rows with related objects, and models with SQLAlchemy's event listeners or
several tables. `insert_row` leaves models with `before_create` hooks to a flush, which runs these first.
"""

from collections.abc import Mapping, Sequence, Set
from functools import cache
from typing import Any, NamedTuple, NoReturn
from weakref import WeakKeyDictionary

from sqlalchemy import Column, Insert, String, event, insert, inspect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstanceState, Session, SessionTransaction, make_transient, make_transient_to_detached
from sqlalchemy.sql import ClauseElement
from sqlalchemy.types import Boolean, Integer
from sqlalchemy.util import greenlet_spawn
from sqlmodel import AutoString, SQLModel

from opportune.db.hooks.registry import AddedRow, hooks_of, insert_statement, rows_added_with, state_of
from opportune.db.sessions.hooked_session import HookedSession
from opportune.db.sessions.numbering import number_new_rows
from opportune.db.sessions.state import is_within, session_state
from opportune.db.sessions.value_names import refuse_unknown_names

STORED_VALUES = "stored_values"
"""Key in the `info` of a row's state for the values that the INSERT returned."""
UNCHANGED_TYPES = (AutoString, Boolean, Integer, String)
"""Column types whose values are the same before and after they are stored. The INSERT returns the others."""
MUTABLE_TYPES = (dict, list, set)
"""Types of values that SQLAlchemy may have replaced by objects that track their changes."""


class InsertPlan(NamedTuple):
    """The INSERT of a model's rows."""

    statement: Insert
    columns: Sequence[tuple[str, Column[Any]]]
    defaults: Set[str]
    """Keys of the columns that get a default if they have no value."""
    returned: Sequence[str]
    relationships: frozenset[str]
    returns_stored: bool


class NewRow(NamedTuple):
    """Row with the values that the INSERT of its model writes."""

    plan: InsertPlan
    row: SQLModel
    state: InstanceState[Any]
    values: Mapping[str, Any]


class InsertingSession(HookedSession):
    """Session whose flush writes a single new row with one statement."""

    def execute(self, statement: Any, params: Any = None, **options: Any) -> Any:
        if params:
            refuse_unknown_names(self, statement, params)
        return super().execute(statement, params, **options)

    def scalar(self, statement: Any, params: Any = None, **options: Any) -> Any:
        if params:
            refuse_unknown_names(self, statement, params)
        return super().scalar(statement, params, **options)

    def write_changes(self) -> None:
        if not self._insert_only_row():
            super().write_changes()

    def _insert_only_row(self) -> bool:
        """Write the only pending row and return True. Return False if the unit of work has to write the changes."""
        rows = [*self.new]
        if len(rows) != 1 or self.dirty or self.deleted or self.has_flush_listeners():
            return False
        row: SQLModel = rows[0]
        new_row = _bind_values(row, returns_stored=False)
        if new_row is None:
            return False
        self.expunge(row)
        try:
            _write(self, new_row)
        except BaseException as error:
            _fail_as_flush(self, row, error)
            raise
        if hooks_of(type(row)):
            self.record_write(row, "create")
        return True


def _fail_as_flush(session: Session, row: SQLModel, error: BaseException) -> None:
    """Roll the transaction back and make it refuse further statements, as after a failed flush.

    SQLAlchemy has no other way to do this than a bulk operation whose rows fail.
    """
    session.bulk_insert_mappings(state_of(row).mapper, map(_raise, [error]))


def _raise(error: BaseException) -> NoReturn:
    raise error


@event.listens_for(InsertingSession, "after_rollback")
def _forget_inserted(session: InsertingSession) -> None:
    """Make rows of the rolled back transaction new again, so that `session.add(row)` writes them once more."""
    inserted = session.state.inserted
    if inserted is None:
        return
    savepoint = session.get_nested_transaction()
    for row_state, outer in [*inserted.items()]:
        if savepoint is None or is_within(outer, savepoint):
            del inserted[row_state]
            if row := row_state.obj():
                make_transient(row)


@event.listens_for(InsertingSession, "after_transaction_end")
def _forget_transaction(session: InsertingSession, transaction: SessionTransaction) -> None:
    if session.state.inserted is not None and transaction.parent is None:
        session.state.inserted = None


async def insert_row(session: AsyncSession, row: SQLModel) -> None:
    """Write a new row and run its hooks.

    Afterwards the row belongs to the session, and has its id and the values that the database has set. Other pending
    changes are written before the row.
    """
    session_state(session)  # raises TypeError for other sessions
    sync_session = session.sync_session
    assert isinstance(sync_session, InsertingSession)
    if sync_session.in_transaction() and (sync_session.new or sync_session.dirty or sync_session.deleted):
        if row in sync_session.new:
            session.expunge(row)
        await session.flush()
    model = type(row)
    is_attached = state_of(row).session_id is not None
    needs_flush = is_attached or "before_create" in hooks_of(model) or sync_session.has_flush_listeners()
    new_row = None if needs_flush else _bind_values(row, returns_stored=True)
    if new_row is None:
        session.add(row)
        await session.flush()
        return
    added = rows_added_with(model)
    await greenlet_spawn(_write, sync_session, new_row, added or ())
    if added is None:
        sync_session.record_write(row, "create")
        await session.flush()  # runs the hooks


async def insert_rows(session: AsyncSession, rows: Sequence[SQLModel]) -> None:
    """Write new rows of one model, with one statement if their hooks allow it, and run their hooks."""
    if rows:
        session.add_all(rows)
        await number_new_rows(session, type(rows[0]))
    await session.flush()


def has_stored_values(row: SQLModel) -> bool:
    """Return whether the row is new and has the values as they are stored, such as rounded numbers."""
    stored: Mapping[str, Any] | None = state_of(row).info.get(STORED_VALUES)
    return stored is not None and all(vars(row).get(name) is value for name, value in stored.items())


def _bind_values(row: SQLModel, *, returns_stored: bool) -> NewRow | None:
    """Return a row with the values of its INSERT, or None if the unit of work has to write it."""
    plan = _insert_plan(type(row), returns_stored=returns_stored)
    state = state_of(row)
    if plan is None or not plan.relationships <= state.unmodified:
        return None
    attributes = vars(row)
    values = {}
    for name, column in plan.columns:
        value = attributes.get(name)
        if isinstance(value, ClauseElement):
            return None
        # As in the ORM, columns with None are left out, unless the column type stores None as a value.
        if value is not None or column.type.should_evaluate_none:
            values[column.key] = value
    if not plan.defaults <= values.keys():
        plan = _insert_plan(type(row), returns_stored=returns_stored, returns_defaults=True) or plan
    return NewRow(plan, row, state, values)


@cache
def _insert_plan(model: type[SQLModel], *, returns_stored: bool, returns_defaults: bool = False) -> InsertPlan | None:
    """Return the INSERT of a model, or None if the unit of work has to write its rows."""
    mapper = inspect(model, raiseerr=True)
    has_listeners = mapper.dispatch.before_insert or mapper.dispatch.after_insert
    if len(mapper.tables) > 1 or mapper.version_id_col is not None or has_listeners:
        return None
    columns = [(name, column) for name, column in mapper.columns.items() if isinstance(column, Column)]
    returned = []
    defaults = set[str]()
    for name, column in columns:
        if column.default is not None or column.server_default is not None:
            defaults.add(column.key)
        is_set_by_database = column.primary_key or (returns_defaults and column.key in defaults)
        if is_set_by_database or (returns_stored and not isinstance(column.type, UNCHANGED_TYPES)):
            returned.append(name)
    statement = insert(mapper.tables[0]).returning(*(mapper.columns[name] for name in returned))
    return InsertPlan(statement, columns, defaults, returned, frozenset(mapper.relationships.keys()), returns_stored)


def _write(session: InsertingSession, new_row: NewRow, added: Sequence[AddedRow] = ()) -> None:
    """Write a row and the rows that are added with it, in one greenlet."""
    plan, row, state, values = new_row
    connection = session.connection()
    attributes = state.dict
    stored = connection.execute(plan.statement, values).first() or ()
    for name, _ in plan.columns:
        attributes.setdefault(name, None)
    for name, value in zip(plan.returned, stored, strict=True):
        if not isinstance(value, MUTABLE_TYPES) or value != attributes[name]:
            attributes[name] = value
    _add_written(session, row, state)
    if plan.returns_stored:
        state.info[STORED_VALUES] = {name: attributes[name] for name in plan.returned}
    for addition in added:
        if (fields := addition.values(row)) is not None:
            connection.execute(insert_statement(addition.model), fields)


def _add_written(session: InsertingSession, row: SQLModel, state: InstanceState[Any]) -> None:
    """Add a row to the session as one that is in the database."""
    make_transient_to_detached(row)
    stale = session.identity_map.get(state.key) if state.key else None
    if stale is not None:  # a savepoint that had used the same id was rolled back
        session.expunge(stale)
    session.add(row)
    if session.state.inserted is None:
        session.state.inserted = WeakKeyDictionary()
    session.state.inserted[state] = session.get_nested_transaction()
