"""Records of changes during an impersonation, as events of the user's account.

The event is part of the transaction of the change.
"""

import asyncio
import re
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Table
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction

from opportune.accounts.models import AccountEvent, User
from opportune.db.sessions.hooked_session import listen_while

INFO_KEY = "impersonation.changes"
"""Key of `session.info` for the changes of a transaction."""
MAX_LISTED_CHANGES = 10
MAX_TITLE_LENGTH = 60
TITLE_FIELDS = ("title", "name", "subject", "email")
BOOKKEEPING = ("accounts_attempt", "accounts_event", "accounts_session", "admin_", "jobs_", "search_")
"""Prefixes of tables that the site itself writes."""


@dataclass(frozen=True)
class Recording:
    user_id: int
    superuser_id: int
    task: "asyncio.Task[Any] | None"
    """The task of the request. Changes by other tasks, such as jobs, are not recorded."""


_recording: ContextVar[Recording | None] = ContextVar("impersonation_recording", default=None)


def record_changes(user: User, superuser: User) -> None:
    """Record the changes of this request from now on."""
    _listen()
    _recording.set(Recording(user.id, superuser.id, asyncio.current_task()))


def stop_recording() -> None:
    if _recording.get() is not None:
        _recording.set(None)


@cache
def _listen() -> None:
    """Add the listeners with the first recording of a process, because each statement pays for them."""
    listen_while(
        lambda: _current() is not None,
        after_flush=_note_rows,
        do_orm_execute=_note_statement,
        before_commit=_store,
        after_rollback=_forget,
    )


def superuser_id_for(user_id: int) -> int | None:
    """Return the superuser who acts as this user in the current request."""
    recording = _current()
    return recording.superuser_id if recording and recording.user_id == user_id else None


def _current() -> Recording | None:
    recording = _recording.get()
    return recording if recording and recording.task is asyncio.current_task() else None


def _note_rows(session: Session, _context: UOWTransaction) -> None:
    if not _current():
        return
    for word, rows in (("created", session.new), ("changed", session.dirty), ("deleted", session.deleted)):
        for row in rows:
            if _is_content(row.__table__) and (word != "changed" or session.is_modified(row)):
                _note(session, f"{word} {_model_words(type(row))} {_title(row)}")


def _note_statement(state: ORMExecuteState) -> None:
    words = {"is_insert": "created", "is_update": "changed", "is_delete": "deleted"}
    word = next((word for name, word in words.items() if getattr(state, name)), "")
    table = getattr(state.statement, "table", None)
    if word and isinstance(table, Table) and _is_content(table) and _current():
        mapper = state.bind_mapper
        _note(state.session, f"{word} rows of {_model_words(mapper.class_) if mapper else table.name}")


def _store(session: Session) -> None:
    if not (recording := _current()):
        return
    session.flush()  # pending changes are noted during the flush
    changes = list(dict.fromkeys(session.info.pop(INFO_KEY, ())))
    if changes:
        session.add(
            AccountEvent(
                user_id=recording.user_id,
                kind="changed_by_superuser",
                details={"changes": _listed(changes)},
                actor_id=recording.superuser_id,
            )
        )


def _forget(session: Session) -> None:
    session.info.pop(INFO_KEY, None)


def _note(session: Session, words: str) -> None:
    session.info.setdefault(INFO_KEY, []).append(words)


def _listed(changes: list[str]) -> str:
    more = len(changes) - MAX_LISTED_CHANGES
    listed = changes[:MAX_LISTED_CHANGES]
    return "; ".join([*listed, f"and {more} more"] if more > 0 else listed)


def _is_content(table: Table) -> bool:
    return not table.name.startswith(BOOKKEEPING)


def _model_words(model: type[Any]) -> str:
    """Return the words of a model's name: `book loan` for `BookLoan`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", model.__name__).lower()


def _title(row: Any) -> str:
    """Return the title of a row, or its id: `“Milk”`, `3`."""
    title = next((text for name in TITLE_FIELDS if (text := getattr(row, name, None)) and isinstance(text, str)), "")
    return f"“{title[:MAX_TITLE_LENGTH]}”" if title else str(getattr(row, "id", ""))
