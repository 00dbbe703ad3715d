"""Functions that run when rows are created, changed and deleted, whichever way: a page, the admin, a job, a command.

    @after_create(Book)
    async def announce(session: AsyncSession, book: Book) -> None:
        defer(session, write_summary(book.id))

They run in the transaction of the change. A feature lists its own in `Feature(hooks=[…])`. What writes rows without
objects is not seen: `insert()`, `update()` and `delete()` statements, and what the database deletes by itself.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import iscoroutinefunction, signature
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstanceState
from sqlmodel import SQLModel

from opportune.errors import OperatorError

M = TypeVar("M", bound=SQLModel)
Hook = Callable[[AsyncSession, M], Awaitable[None]]
Predicate = Callable[[type[Any]], bool]
"""Whether a hook of a base class is for rows of one of its models."""

CREATION = {"before_create", "after_create"}
INFO_KEY = "changes"
"""Where a row keeps what was written while its hooks are told of it."""


class Change(NamedTuple):
    """What a column or a many-to-many relationship held, and holds now."""

    before: Any
    after: Any


def before_create(model: type[M], *, where: Predicate | None = None) -> Callable[[Hook[M]], Hook[M]]:
    """Have a function run before a new row is written: it may fill the row in, or raise to refuse it."""
    return _registering("before_create", model, where)


def after_create(model: type[M], *, where: Predicate | None = None) -> Callable[[Hook[M]], Hook[M]]:
    """Have a function run when a new row is written: it has its id."""
    return _registering("after_create", model, where)


def add_after_create(
    model: type[M], added: type[SQLModel], *, where: Predicate | None = None
) -> Callable[[Callable[[M], Mapping[str, Any] | None]], Hook[M]]:
    """Add a row of another model with each new row. The function returns its values by column, or None for no row.

    A statement can write both, so that the new row needs no session.
    """

    def register(values: Callable[[M], Mapping[str, Any] | None]) -> Hook[M]:
        async def add_row(session: AsyncSession, row: M) -> None:
            if (found := values(row)) is not None:
                session.add(added(**found))

        registered.append(Registration("after_create", model, add_row, where, AddedRow(added, values)))
        _forget_models()
        return add_row

    return register


def before_change(model: type[M], *, where: Predicate | None = None) -> Callable[[Hook[M]], Hook[M]]:
    """Have a function run before changes of a row are written: `changes(row)` tells them."""
    return _registering("before_change", model, where)


def after_change(model: type[M], *, where: Predicate | None = None) -> Callable[[Hook[M]], Hook[M]]:
    """Have a function run when changes of a row are written: `changes(row)` tells them."""
    return _registering("after_change", model, where)


def before_delete(model: type[M], *, where: Predicate | None = None) -> Callable[[Hook[M]], Hook[M]]:
    """Have a function run before a row is deleted, while all that goes with it is there."""
    return _registering("before_delete", model, where)


def after_delete(model: type[M], *, where: Predicate | None = None) -> Callable[[Hook[M]], Hook[M]]:
    """Have a function run when a row is deleted: the object still has its values."""
    return _registering("after_delete", model, where)


def changes(row: SQLModel) -> Mapping[str, Change]:
    """What changes in a row, by the names of its fields: `"price" in changes(book)`.

    In `after_change` it is what was written, elsewhere what is not written yet. What a field held before is None where
    nobody has loaded it.
    """
    state = state_of(row)
    written: Mapping[str, Change] | None = state.info.get(INFO_KEY)
    return unwritten_changes(state) if written is None else written


@contextmanager
def temporary_hooks() -> Iterator[None]:
    """Hooks that are declared in this block end with it: for tests."""
    before = list(registered)
    try:
        yield
    finally:
        registered[:] = before
        _forget_models()


def has_hooks(model: type[SQLModel]) -> bool:
    """Whether any hook is for rows of this model: who writes them by a statement writes objects then."""
    return bool(registered and hooks_of(model))


def hook_fault(feature: str, listed: Sequence[Any]) -> str:
    """Return a line about the first listed function that is not a hook; empty if all are."""
    hooks = [each.hook for each in registered]
    for function in listed:
        if function not in hooks:
            name = getattr(function, "__name__", repr(function))
            return (
                f"Feature({feature!r}, hooks=…) lists {name}, which is no hook: write @after_create(Model), or another "
                "of opportune.db, above the function, and list the function itself."
            )
    return ""


class AddedRow(NamedTuple):
    """A row that a hook adds with each new row."""

    model: type[SQLModel]
    values: Callable[[Any], Mapping[str, Any] | None]
    """Values of all its columns but the key, by the new row. None if no row is added."""


class Registration(NamedTuple):
    """A hook, and the models whose rows it is for."""

    moment: str
    model: type[SQLModel]
    hook: Hook[Any]
    where: Predicate | None
    adds: AddedRow | None = None
    """What the hook does, if it does nothing else."""

    def concerns(self, model: type[SQLModel]) -> bool:
        return issubclass(model, self.model) and (self.where is None or self.where(model))


registered: list[Registration] = []
"""All hooks, in the order in which they run."""
_by_model: dict[Any, Mapping[str, Sequence[Hook[Any]]]] = {}
_concerned: dict[Any, bool] = {}
_added: dict[Any, Sequence[AddedRow] | None] = {}


def hooks_of(model: type[SQLModel]) -> Mapping[str, Sequence[Hook[Any]]]:
    """The hooks for rows of this class by moment, those of its bases among them."""
    if model not in _by_model:
        found = defaultdict(list)
        for each in registered:
            if each.concerns(model):
                found[each.moment].append(each.hook)
        _by_model[model] = dict(found)
    return _by_model[model]


def rows_added_with(model: type[SQLModel]) -> Sequence[AddedRow] | None:
    """Return the rows that hooks add with a new row of this class. None if hooks do anything else."""
    if model not in _added:
        hooks = [each for each in registered if each.moment in CREATION and each.concerns(model)]
        rows = [each.adds for each in hooks if each.adds]
        is_all = len(rows) == len(hooks) and not any(hooks_of(row.model).keys() & CREATION for row in rows)
        _added[model] = rows if is_all else None
    return _added[model]


def concerns_hooks(model: type[SQLModel]) -> bool:
    """Whether writing rows of this class may write rows with hooks: their own, or those that relationships lead to."""
    if model not in _concerned:
        mappers = [inspect(model, raiseerr=True)]
        for mapper in mappers:  # grows while it is walked
            mappers += {each.mapper for each in mapper.relationships} - {*mappers}
        _concerned[model] = any(hooks_of(mapper.class_) for mapper in mappers)
    return _concerned[model]


def _registering(moment: str, model: type[M], where: Predicate | None) -> Callable[[Hook[M]], Hook[M]]:
    if not (isinstance(model, type) and issubclass(model, SQLModel)):
        raise OperatorError(f"@{moment} takes a model, such as @{moment}(Book), and no {model!r}.")

    def register(hook: Hook[M]) -> Hook[M]:
        if not iscoroutinefunction(hook) or len(signature(hook).parameters) != 2:
            name = f"{hook.__module__}.{getattr(hook, '__name__', hook)}"
            raise OperatorError(f"{name}: what stands below @{moment} has to be an `async def` of (session, row).")
        registered.append(Registration(moment, model, hook, where))
        _forget_models()
        return hook

    return register


def _forget_models() -> None:
    _by_model.clear()
    _added.clear()
    _concerned.clear()


def state_of(row: SQLModel) -> InstanceState[Any]:
    state: InstanceState[Any] | None = inspect(row)
    assert state
    return state


def unwritten_changes(state: InstanceState[Any]) -> dict[str, Change]:
    mapper = state.mapper
    many_to_many = [each.key for each in mapper.relationships if each.secondary is not None and not each.viewonly]
    columns = {name: state.attrs[name].history for name in mapper.column_attrs.keys()}  # noqa: SIM118 - no mapping
    linked = {name: state.attrs[name].history for name in many_to_many}
    return {
        name: Change(next(iter(past.deleted or ()), None), next(iter(past.added or ()), None))
        for name, past in columns.items()
        if past.has_changes()
    } | {
        name: Change(list(past.non_added()), [*(past.unchanged or ()), *(past.added or ())])
        for name, past in linked.items()
        if past.has_changes()
    }
