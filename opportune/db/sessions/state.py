"""State of a session in addition to SQLAlchemy's own."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstanceState, SessionTransaction
from sqlmodel import SQLModel

from opportune.db.hooks.registry import Change, Hook

T = TypeVar("T")
Operation = Literal["create", "update", "delete"]
Callback = Callable[[], Awaitable[None]]
WithSavepoints = list[tuple[T, SessionTransaction | None]]
"""Entries of a transaction, each with the savepoint it belongs to."""


class Write(NamedTuple):
    row: SQLModel
    operation: Operation
    changes: Mapping[str, Change]


@dataclass
class SessionState:
    includes_deleted: bool = False
    """Queries also return rows in the trash."""
    purges: bool = False
    """`session.delete(row)` deletes rows permanently."""
    before_hook: Hook[Any] | None = None
    """The `before_` hook that is running."""
    runs_after_hooks: bool = False
    writes: WithSavepoints[Write] = field(default_factory=list)
    """Writes whose `after_` hooks have not run."""
    before_commit: WithSavepoints[Callback] = field(default_factory=list)
    after_commit: WithSavepoints[Callback] = field(default_factory=list)
    after_failure: list[Callback] = field(default_factory=list)
    inserted: WeakKeyDictionary[InstanceState[Any], SessionTransaction | None] | None = None
    """Rows that the transaction has written without the unit of work, with their savepoints. None before the first."""

    def discard(self) -> None:
        """Discard the hooks and callbacks of a transaction that is rolled back."""
        self.writes = []
        self.before_commit = []
        self.after_commit = []

    def discard_savepoint(self, savepoint: SessionTransaction) -> None:
        """Discard the hooks and callbacks of a savepoint that is rolled back."""
        for entries in (self.writes, self.before_commit, self.after_commit):
            discard_within(entries, savepoint)


def session_state(session: AsyncSession) -> SessionState:
    """Return the state of a session of the site."""
    state: SessionState | None = getattr(session.sync_session, "state", None)
    if state is None:
        raise TypeError("This session does not run hooks. Take a WriteSession, or open one with database.writer().")
    return state


def discard_within(entries: WithSavepoints[Any], savepoint: SessionTransaction) -> None:
    """Discard the entries of a savepoint that is rolled back."""
    entries[:] = [(item, inner) for item, inner in entries if not is_within(inner, savepoint)]


def is_within(savepoint: SessionTransaction | None, outer: SessionTransaction) -> bool:
    while savepoint is not None and savepoint is not outer:
        savepoint = savepoint.parent
    return savepoint is outer
