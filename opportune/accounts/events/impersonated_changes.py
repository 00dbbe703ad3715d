"""Recording of changes that a superuser makes while signed in as a user.

The changes of a transaction become one event of the user's account, stored in the same transaction.
"""

import asyncio
from contextvars import ContextVar
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Table
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction, UOWTransaction

from opportune.accounts.models import AccountEvent, User
from opportune.db.models.labels import label_of_class
from opportune.db.sessions.hooked_session import listen_while
from opportune.db.sessions.state import discard_within
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.translation import DerivedLabel
from opportune.project.installed import feature_of_table, installed_names

INFO_KEY = "impersonation.changes"
"""Key of `session.info` for the changes in the current transaction: verb, model, title, and savepoint, if any."""
MAX_LISTED_CHANGES = 10
MAX_TITLE_LENGTH = 60
VERBS = {"created": _l("created %(row)s"), "changed": _l("changed %(row)s"), "deleted": _l("deleted %(row)s")}
SEVERAL_ROWS = _l("(several rows)")
"""Title of a change by a statement."""
TITLE_FIELDS = ("title", "name", "subject", "email")
INTERNAL = {"accounts_attempt", "accounts_event", "accounts_session", "admin", "jobs", "search"}
"""Tables, and features with tables, that the framework writes by itself. Their changes are not recorded."""


class Recording(NamedTuple):
    user_id: int
    superuser_id: int
    task: "asyncio.Task[Any] | None"
    """The task of the request. Changes by other tasks, such as jobs, are not recorded."""


_recording: ContextVar[Recording | None] = ContextVar("impersonation_recording", default=None)


def record_changes(user: User, superuser: User) -> None:
    """Record the changes of this request from now on, as made by `superuser` in the account of `user`."""
    _add_listeners()
    _recording.set(Recording(user.id, superuser.id, asyncio.current_task()))


def stop_recording() -> None:
    if _recording.get() is not None:
        _recording.set(None)


@cache
def _add_listeners() -> None:
    """Add the listeners when the first recording of a process starts, because they slow down each statement."""
    listen_while(
        lambda: _current_recording() is not None,
        after_flush=_record_rows,
        do_orm_execute=_record_statement,
        before_commit=_store_event,
        after_soft_rollback=_discard_changes,
    )


def superuser_id_for(user_id: int) -> int | None:
    """Return the id of the superuser who is signed in as this user in the current request, or None."""
    recording = _current_recording()
    return recording.superuser_id if recording and recording.user_id == user_id else None


def _current_recording() -> Recording | None:
    recording = _recording.get()
    return recording if recording and recording.task is asyncio.current_task() else None


def _record_rows(session: Session, _context: UOWTransaction) -> None:
    if not _current_recording():
        return
    for verb, rows in (("created", session.new), ("changed", session.dirty), ("deleted", session.deleted)):
        for row in rows:
            if is_content(row.__table__) and (verb != "changed" or session.is_modified(row)):
                _add_change(session, verb, label_of_class(type(row)), _row_title(row))


def _record_statement(state: ORMExecuteState) -> None:
    verbs = {"is_insert": "created", "is_update": "changed", "is_delete": "deleted"}
    verb = next((verb for name, verb in verbs.items() if getattr(state, name)), "")
    table = getattr(state.statement, "table", None)
    if verb and isinstance(table, Table) and is_content(table) and _current_recording():
        label = label_of_class(state.bind_mapper.class_) if state.bind_mapper else table.name
        _add_change(state.session, verb, label, SEVERAL_ROWS)


def _store_event(session: Session) -> None:
    recording = _current_recording()
    if not recording or session.in_nested_transaction():  # the outermost commit stores the event
        return
    session.flush()  # calls _record_rows for pending changes
    changes = list(dict.fromkeys(change for change, _savepoint in session.info.pop(INFO_KEY, ())))
    if changes:
        listed = [*changes[:MAX_LISTED_CHANGES], *(["…"] if len(changes) > MAX_LISTED_CHANGES else [])]
        session.add(
            AccountEvent(
                user_id=recording.user_id,
                kind="updated_by_superuser",
                details={"changes": listed},
                actor_id=recording.superuser_id,
            )
        )


def _discard_changes(session: Session, ended: SessionTransaction) -> None:
    """Forget the changes of the transaction or savepoint that is rolled back."""
    if ended.nested:
        discard_within(session.info.get(INFO_KEY, []), ended)
    else:
        session.info.pop(INFO_KEY, None)


def _add_change(session: Session, *change: str) -> None:
    """Add a change as verb, model and title. They are stored in English, and translated for the reader."""
    change = tuple(str.__str__(part) for part in change)
    session.info.setdefault(INFO_KEY, []).append((change, session.get_nested_transaction()))


def describe_detail(detail: Any) -> Any:
    """Return a detail of an event in the language of the reader. Lists contain labels, or changes."""
    if not isinstance(detail, list):
        return detail
    texts = [_translate(part) if isinstance(part, str) else _describe_change(*part) for part in detail]
    return ", ".join(texts)


def _describe_change(verb: str, model: str, title: str) -> str:
    title = gettext(SEVERAL_ROWS) if title == str.__str__(SEVERAL_ROWS) else title
    return gettext(VERBS.get(verb, f"{verb} %(row)s"), row=f"{_translate(model)} {title}")


def _translate(label: str) -> str:
    translated = gettext(label)
    return str(DerivedLabel(label)) if translated == label else translated


@cache
def is_content(table: Table) -> bool:
    """Return whether changes of a table are recorded. A project's feature may be named `jobs_board`."""
    return INTERNAL.isdisjoint((table.name, feature_of_table(table.name, [*INTERNAL, *installed_names()])))


def _row_title(row: Any) -> str:
    """Return the quoted title of a row, such as `“Milk”`, or its id if it has no title."""
    values = (getattr(row, name, None) for name in TITLE_FIELDS)
    title = next((value for value in values if value and isinstance(value, str)), "")
    return f"“{title[:MAX_TITLE_LENGTH]}”" if title else str(getattr(row, "id", ""))
