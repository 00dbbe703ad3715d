"""The session that tells hooks of the rows it writes: before each write, and after it when all of it is written."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, cast

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession, async_session
from sqlalchemy.orm import RelationshipDirection, Session, SessionTransaction
from sqlalchemy.util import await_only
from sqlmodel import SQLModel

from opportune.db.hooks.registry import (
    INFO_KEY,
    Change,
    concerns_hooks,
    hooks_of,
    registered,
    state_of,
    unwritten_changes,
)

Kind = Literal["create", "change", "delete"]

MAX_ROUNDS = 100
"""How often what hooks write may call hooks again, before that is taken for something without an end."""
WRITES = "hooks.writes"
"""Where a session keeps what hooks have not been told of."""
BEFORE_HOOK, TELLING = "hooks.before", "hooks.telling"
"""Where it keeps the hook that looks at a row which is not written yet, and whether hooks are told of written ones."""


class Write(NamedTuple):
    """A row that was written."""

    row: SQLModel
    kind: Kind
    changes: Mapping[str, Change]
    savepoint: SessionTransaction | None


class HookedSession(Session):
    """What lies below the framework's sessions: every object that is written comes through its `flush`."""

    def flush(self, objects: Sequence[Any] | None = None) -> None:
        if hook := self.info.get(BEFORE_HOOK):
            raise RuntimeError(
                f"{hook.__module__}.{hook.__name__} runs before its row is written: it cannot flush, commit or begin a "
                "savepoint. Do that in an after_… hook, or leave it to the transaction."
            )
        if registered and any(_unwritten_rows(self)):
            await_only(_run_before_hooks(self))
        super().flush(objects)


def _unwritten_rows(session: Session) -> Iterator[tuple[Kind, SQLModel]]:
    """Rows with hooks that the next flush writes."""
    for row in session.new:
        if hooks_of(type(row)):
            yield "create", row
    for row in session.dirty:
        if hooks_of(type(row)) and session.is_modified(row):
            yield "change", row
    for row in session.deleted:
        if hooks_of(type(row)):
            yield "delete", row


async def _run_before_hooks(below: Session) -> None:
    """Tell of each row once; what hooks add and change is told of too."""
    session = cast("AsyncSession", async_session(below))
    told: dict[int, SQLModel] = {}
    with below.no_autoflush:  # the hooks have the rows before they are written
        for _ in range(MAX_ROUNDS):
            rows = [(kind, row) for kind, row in _unwritten_rows(below) if id(row) not in told]
            if not rows:
                return
            for kind, row in rows:
                if kind != "delete":
                    _give_keys(row)
            for kind, row in rows:
                told[id(row)] = row
                await _run_before_hooks_of(session, kind, row)
    raise _endless(rows[0][1])


async def _run_before_hooks_of(session: AsyncSession, kind: Kind, row: SQLModel) -> None:
    try:
        for hook in hooks_of(type(row)).get(f"before_{kind}", ()):
            session.info[BEFORE_HOOK] = hook
            await hook(session, row)
    finally:
        session.info.pop(BEFORE_HOOK, None)


def _give_keys(row: SQLModel) -> None:
    """Give a row the keys of what its relationships were set to, as the flush does: hooks look at `book.author_id`."""
    state = state_of(row)
    for relation in state.mapper.relationships:
        if relation.direction is not RelationshipDirection.MANYTOONE or relation.viewonly:
            continue
        if not (added := state.attrs[relation.key].history.added):
            continue
        target = None if added[0] is None else state_of(added[0])
        known = dict(zip(relation.mapper.primary_key, target.identity or (), strict=False)) if target else {}
        for own, others in relation.local_remote_pairs or ():
            if target is None or others in known:
                setattr(row, state.mapper.get_property_by_column(own).key, known.get(others))


def _endless(row: SQLModel) -> RuntimeError:
    return RuntimeError(f"The hooks of {type(row).__name__} write rows whose hooks write such rows again, without end.")


@event.listens_for(HookedSession, "after_flush")
def _note_written(session: Session, _flush: object) -> None:
    if registered:
        for kind, row in _unwritten_rows(session):  # it still knows what they were
            if kind != "delete":
                _note(session, row, kind)


@event.listens_for(HookedSession, "persistent_to_deleted")
def _note_deleted(session: Session, row: SQLModel) -> None:
    if registered and hooks_of(type(row)):
        _note(session, row, "delete")


def _note(session: Session, row: SQLModel, kind: Kind) -> None:
    changed = unwritten_changes(state_of(row)) if kind == "change" else {}
    session.info.setdefault(WRITES, []).append(Write(row, kind, changed, session.get_nested_transaction()))


def listen_while(is_active: Callable[[], bool], **listeners: Callable[..., None]) -> None:
    """Add listeners of SQLAlchemy's session events, by event, that do nothing unless `is_active()`."""
    for name, listener in listeners.items():
        event.listen(HookedSession, name, listener)
        _conditions[listener] = is_active


def is_watched() -> bool:
    """Return whether a listener of SQLAlchemy's session events would miss a row that is written without a session."""
    listeners = (listener for name in SESSION_EVENTS for listener in getattr(_example.dispatch, name))
    return any(listener not in _conditions or _conditions[listener]() for listener in listeners)


SESSION_EVENTS = (
    *("before_flush", "after_flush", "after_flush_postexec", "before_commit", "after_commit", "after_begin"),
    *("before_attach", "after_attach", "transient_to_pending", "pending_to_persistent"),
)
_conditions: dict[Callable[..., None], Callable[[], bool]] = {_note_written: bool}
"""Condition of a listener. `_note_written` misses nothing: hooks have their own check."""
_example = HookedSession()


def is_for_hooks(session: AsyncSession) -> bool:
    """Whether hooks may have to be told of something that is to be written, or has been."""
    if not registered:
        return False
    below = session.sync_session
    return WRITES in session.info or any(
        concerns_hooks(type(row)) for rows in (below.new, below.dirty, below.deleted) for row in rows
    )


def refuse_commit_in_hook(session: AsyncSession) -> None:
    if TELLING in session.info:
        raise RuntimeError("A hook is part of the transaction of its row: it does not commit.")


async def run_after_hooks(session: AsyncSession, flush: Callable[[], Awaitable[None]]) -> None:
    """Tell of what was written since the last time, and of what the hooks write themselves, until there is no more.

    Of a row that hooks are told of here they are not told again for what hooks change in it.
    """
    if WRITES not in session.info or TELLING in session.info:
        return
    session.info[TELLING] = True
    told: dict[int, SQLModel] = {}
    try:
        for _ in range(MAX_ROUNDS):
            for write in _take_writes(session):
                if write.kind == "delete" or id(write.row) not in told:
                    told[id(write.row)] = write.row
                    await _run_after_hooks_of(session, write)
            await flush()
            if WRITES not in session.info:
                return
    finally:
        del session.info[TELLING]
    raise _endless(session.info[WRITES][0].row)


async def _run_after_hooks_of(session: AsyncSession, write: Write) -> None:
    info = state_of(write.row).info
    if write.kind == "change":
        info[INFO_KEY] = write.changes
    try:
        for hook in hooks_of(type(write.row)).get(f"after_{write.kind}", ()):
            await hook(session, write.row)
    finally:
        info.pop(INFO_KEY, None)


def _take_writes(session: AsyncSession) -> list[Write]:
    rows: dict[int, list[Write]] = defaultdict(list)
    for write in session.info.pop(WRITES, ()):
        rows[id(write.row)].append(write)
    return [write for writes in rows.values() if (write := _sum_up(writes))]


def _sum_up(writes: Sequence[Write]) -> Write | None:
    """What became of a row: one that came and changed came, and one that came and went was never there."""
    first, last = writes[0], writes[-1]
    if first.kind == "create":
        return None if last.kind == "delete" else first
    return last if last.kind == "delete" else _merge(writes)


def _merge(writes: Sequence[Write]) -> Write | None:
    merged: dict[str, Change] = {}
    for write in writes:
        for name, change in write.changes.items():
            merged[name] = Change(merged.get(name, change).before, change.after)
    held = {name: change for name, change in merged.items() if change.before != change.after}
    return writes[0]._replace(changes=held) if held else None


def forget_writes(session: Session, undone: SessionTransaction) -> None:
    """Tell nobody of what was written in a savepoint that has been rolled back."""
    if kept := [write for write in session.info.pop(WRITES, ()) if not is_within(write.savepoint, undone)]:
        session.info[WRITES] = kept


def is_within(savepoint: SessionTransaction | None, outer: SessionTransaction) -> bool:
    while savepoint is not None and savepoint is not outer:
        savepoint = savepoint.parent
    return savepoint is outer
