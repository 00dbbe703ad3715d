"""Hooks that run when rows are created, changed or deleted by a page, the admin, a job or a command.

    @after_create(Book)
    async def announce(session: AsyncSession, book: Book) -> None:
        defer(session, write_summary(book.id))

They run in the transaction of the change. A feature lists its hooks in `Feature(hooks=[…])`. Hooks do not run for
`insert()`, `update()` and `delete()` statements, and for rows that the database deletes by a cascade. A hook of a base
class or mixin runs for its subclasses, which `where` limits to those for which it returns true.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, update_wrapper
from inspect import iscoroutinefunction, signature
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Insert, insert, inspect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstanceState
from sqlalchemy.orm.attributes import History
from sqlmodel import SQLModel

from opportune.db.drivers.pool import DEFERRED
from opportune.errors import OperatorError

M = TypeVar("M", bound=SQLModel)
Hook = Callable[[AsyncSession, M], Awaitable[None]]
Predicate = Callable[[type[Any]], bool]
"""Function that returns whether a hook of a base class applies to a model."""

CREATION = {"before_create", "after_create"}
WRITTEN_CHANGES = "changes"
"""Key in a row's `info` for its written changes. It exists while the `after_update` hooks of the row run."""


class Change(NamedTuple):
    """Old and new value of a column or many-to-many relationship."""

    before: Any
    after: Any


def before_create(model: type[M], *, where: Predicate | None = None) -> Callable[[Hook[M]], Hook[M]]:
    """Run a hook before a new row is written. It may change the row, or raise to refuse it."""
    return _hook_decorator("before_create", model, where)


def after_create(model: type[M], *, where: Predicate | None = None) -> Callable[[Hook[M]], Hook[M]]:
    """Run a hook after a new row is written. The row has its id.

    Example:
        @after_create(Book)
        async def queue_summary(session: AsyncSession, book: Book) -> None: ...
    """
    return _hook_decorator("after_create", model, where)


def add_after_create(
    model: type[M], added_model: type[SQLModel], *, where: Predicate | None = None
) -> Callable[[Callable[[M], Mapping[str, Any] | None]], Hook[M]]:
    """Add a row of another model with each new row.

    The decorated function returns the values of the added row by column, or None to add no row. CRUD can then write
    both rows without an ORM session.
    """

    def register(values: Callable[[M], Mapping[str, Any] | None]) -> Hook[M]:
        async def add_row(session: AsyncSession, row: M) -> None:
            if (fields := values(row)) is None:
                return
            if has_hooks(added_model):
                session.add(added_model(**fields))
            else:  # a statement is faster than an object and a second flush
                await session.execute(insert_statement(added_model), fields)

        update_wrapper(add_row, values)  # features list hooks by name
        registered.append(Registration("after_create", model, add_row, where, AddedRow(added_model, values)))
        _clear_caches()
        return add_row

    return register


def before_update(model: type[M], *, where: Predicate | None = None) -> Callable[[Hook[M]], Hook[M]]:
    """Run a hook before changes of a row are written. `changes(row)` returns them."""
    return _hook_decorator("before_update", model, where)


def after_update(model: type[M], *, where: Predicate | None = None) -> Callable[[Hook[M]], Hook[M]]:
    """Run a hook after changes of a row are written. `changes(row)` returns them."""
    return _hook_decorator("after_update", model, where)


def before_delete(model: type[M], *, where: Predicate | None = None) -> Callable[[Hook[M]], Hook[M]]:
    """Run a hook before a row is deleted, while its dependent rows still exist."""
    return _hook_decorator("before_delete", model, where)


def after_delete(model: type[M], *, where: Predicate | None = None) -> Callable[[Hook[M]], Hook[M]]:
    """Run a hook after a row is deleted. The object still has its values."""
    return _hook_decorator("after_delete", model, where)


def changes(row: SQLModel) -> Mapping[str, Change]:
    """Return the changes of a row by field: `"price" in changes(book)`.

    In `after_update` hooks these are the changes that were written, elsewhere the pending ones. `before` is None if
    the old value was not loaded.
    """
    state = state_of(row)
    written: Mapping[str, Change] | None = state.info.get(WRITTEN_CHANGES)
    return unwritten_changes(state) if written is None else written


@contextmanager
def temporary_hooks() -> Iterator[None]:
    """Remove the hooks that are registered in this block at its end, for tests."""
    previous = list(registered)
    try:
        yield
    finally:
        registered[:] = previous
        _clear_caches()


@contextmanager
def limited_hooks(is_installed: Callable[[Hook[Any]], bool]) -> Iterator[None]:
    """Run only the hooks of installed features in this block. Other features may be imported."""
    _limits.append(is_installed)
    _clear_caches()
    try:
        yield
    finally:
        _limits.remove(is_installed)
        _clear_caches()


def has_hooks(model: type[SQLModel]) -> bool:
    """Return whether a model has hooks. If so, write its rows as objects instead of by statements."""
    return bool(registered and hooks_of(model))


def find_hook_error(feature: str, listed: Sequence[Any]) -> str | None:
    """Return an error message for the first listed function that is not a hook. None if all are."""
    hooks = [registration.hook for registration in registered]
    others = [function for function in listed if function not in hooks]
    if not others:
        return None
    name = getattr(others[0], "__name__", repr(others[0]))
    return (
        f"Feature({feature!r}, hooks=…) lists {name}, which is not a hook. Decorate the function with "
        "@after_create(Model) or another hook of opportune.db, and list the function itself."
    )


class AddedRow(NamedTuple):
    """Row that a hook adds with each new row."""

    model: type[SQLModel]
    values: Callable[[Any], Mapping[str, Any] | None]
    """Function that returns the values of all columns except the primary key. None adds no row."""


class Registration(NamedTuple):
    """Hook with the models it applies to."""

    event: str
    model: type[SQLModel]
    hook: Hook[Any]
    where: Predicate | None
    added_row: AddedRow | None = None
    """Row that the hook adds, if it was registered with `add_after_create`."""

    def applies_to(self, model: type[SQLModel]) -> bool:
        is_allowed = all(allows(self.hook) for allows in _limits)
        return is_allowed and issubclass(model, self.model) and (self.where is None or self.where(model))


registered: list[Registration] = []
"""All hooks, in the order they run."""
_limits: list[Callable[[Hook[Any]], bool]] = []
"""Functions that return whether a hook may run, one of each site in this process. All must agree."""


@cache
def hooks_of(model: type[SQLModel]) -> Mapping[str, Sequence[Hook[Any]]]:
    """Return the hooks of a model and its base classes by event."""
    hooks = defaultdict(list)
    for registration in registered:
        if registration.applies_to(model):
            hooks[registration.event].append(registration.hook)
    return dict(hooks)


@cache
def rows_added_with(model: type[SQLModel]) -> Sequence[AddedRow] | None:
    """Return the rows that creation hooks of a model add. None if a hook does anything else."""
    hooks = [hook for hook in registered if hook.event in CREATION and hook.applies_to(model)]
    rows = [hook.added_row for hook in hooks if hook.added_row]
    all_add_rows = len(rows) == len(hooks) and not any(hooks_of(row.model).keys() & CREATION for row in rows)
    return rows if all_add_rows else None


@cache
def insert_statement(model: type[SQLModel]) -> Insert:
    """Return the INSERT of an added row. It is deferred if the table has no constraints, so that it cannot fail."""
    table: Any = inspect(model, raiseerr=True).local_table
    may_fail = len(table.constraints) > 1 or any(index.unique for index in table.indexes)
    return insert(table).inline().execution_options(**{DEFERRED: not may_fail})


@cache
def may_run_hooks(model: type[SQLModel]) -> bool:
    """Return whether writing rows of a model may run hooks of the model or of related models."""
    mappers = [inspect(model, raiseerr=True)]
    for mapper in mappers:  # grows during the loop
        mappers += {relation.mapper for relation in mapper.relationships} - {*mappers}
    return any(hooks_of(mapper.class_) for mapper in mappers)


def _hook_decorator(event: str, model: type[M], where: Predicate | None) -> Callable[[Hook[M]], Hook[M]]:
    if not (isinstance(model, type) and issubclass(model, SQLModel)):
        raise OperatorError(f"@{event} takes a model, such as @{event}(Book), not {model!r}.")

    def register(hook: Hook[M]) -> Hook[M]:
        if not iscoroutinefunction(hook) or len(signature(hook).parameters) != 2:
            name = f"{hook.__module__}.{getattr(hook, '__name__', hook)}"
            raise OperatorError(f"{name}: a function decorated with @{event} must be `async def` with (session, row).")
        registered.append(Registration(event, model, hook, where))
        _clear_caches()
        return hook

    return register


def _clear_caches() -> None:
    for cached in (hooks_of, rows_added_with, may_run_hooks):
        cached.cache_clear()


def state_of(row: SQLModel) -> InstanceState[Any]:
    """Return SQLAlchemy's state of a row."""
    state: InstanceState[Any] | None = inspect(row)
    assert state
    return state


def unwritten_changes(state: InstanceState[Any]) -> dict[str, Change]:
    """Return the changes of columns and many-to-many relationships since the last flush."""
    changed: dict[str, Change] = {}
    for name in state.mapper.column_attrs.keys():  # noqa: SIM118 - no dict
        history = state.attrs[name].history
        if history.has_changes():
            changed[name] = _column_change(history)
    for relation in state.mapper.relationships:
        if relation.secondary is not None and not relation.viewonly:
            history = state.attrs[relation.key].history
            if history.has_changes():
                after = [*(history.unchanged or ()), *(history.added or ())]
                changed[relation.key] = Change([*history.non_added()], after)
    return changed


def _column_change(history: History) -> Change:
    old = history.deleted[0] if history.deleted else None
    new = history.added[0] if history.added else None
    return Change(old, new)
