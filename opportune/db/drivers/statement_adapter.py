"""SQLAlchemy's engine from the inside: the rows of one statement, without what few statements need of a connection.

The public way is `Connection.execute`, which takes as long as the statement itself does, and half as long again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast
from weakref import ReferenceType, WeakKeyDictionary, ref

from sqlalchemy import Engine, Executable
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool.base import _ConnectionFairy as Pooled
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine
from sqlalchemy.util import greenlet_spawn

from opportune.speedups import require

require(Engine, "_has_events", "_should_log_info")
require(ClauseElement, "_compile_w_cache")
require(SQLCompiler, "_bind_processors")
require(TypeEngine, "_cached_result_processor")
require(Pooled, "_close_special")

ENGINE_EVENTS = (
    *("engine_connect", "begin", "commit", "rollback"),
    *("before_execute", "after_execute", "before_cursor_execute", "after_cursor_execute"),
)

AUTOCOMMIT = "set_autocommit"
"""What psycopg's connections have. SQLite's begin no transaction unless they are told to."""

Process = Callable[[Any], Any]
Processes = Sequence[tuple[int, Process]]
Answer = tuple[Sequence[Sequence[Any]], Processes]


class CompiledStatement(NamedTuple):
    """The SQL of a statement, and the statement's literal values: statements that differ only in these share the SQL.

    The reference is weak: compiled SQL often refers to its statement, which would then never be freed.
    """

    compiled: ReferenceType[Any]
    literals: Any
    names: Sequence[str]


_compiled_statements: WeakKeyDictionary[Any, CompiledStatement] = WeakKeyDictionary()
"""By statement, as long as the statement lives."""
_processes: WeakKeyDictionary[Any, Processes] = WeakKeyDictionary()
"""By compiled statement what makes of a driver's values ours, and in which places."""


async def fetch(engine: Engine, statement: Executable, values: Mapping[str, Any]) -> Sequence[Sequence[Any]] | None:
    """The rows of a statement that is a transaction of its own.

    None before anything is done where it takes more than is known here: somebody listens, there are lists in it, or
    nobody has connected yet, which tells SQLAlchemy what the server can do.
    """
    if not engine.dialect.server_version_info or _is_heard(engine) or engine._should_log_info():
        return None
    compiled, literals = _compile(engine, statement, (*values,))
    if not _is_plain(compiled):
        return None
    given = compiled.construct_params(values, extracted_parameters=literals, escape_names=False)
    for name, process in compiled._bind_processors.items():
        given[name] = process(given[name])
    sent = [given[name] for name in compiled.positiontup] if compiled.positional else given
    rows, processes = await _run(engine, compiled, sent)
    return [_processed(row, processes) for row in rows] if processes else rows


def _is_heard(engine: Engine) -> bool:
    return engine._has_events and any(getattr(engine.dispatch, name) for name in ENGINE_EVENTS)


def _is_plain(compiled: Any) -> bool:
    """Whether its words stay as they are, and each column of its rows has a type."""
    changes = compiled.literal_execute_params or compiled.post_compile_params or compiled.escaped_bind_names
    return bool(compiled._result_columns and compiled._ordered_columns) and not (changes or compiled.insert_prefetch)


def _compile(engine: Engine, statement: Executable, names: Sequence[str]) -> tuple[Any, Any]:
    """Return the compiled SQL and the literal values of a statement.

    SQLAlchemy compares all parts of a statement to find its SQL. A statement that is made once is found by identity.
    """
    found = _compiled_statements.get(statement)
    if found and found.names == names and (compiled := found.compiled()) and compiled.dialect is engine.dialect:
        return compiled, found.literals
    clause = cast("ClauseElement", statement)
    cache = engine.get_execution_options().get("compiled_cache", engine._compiled_cache)
    compiled, literals, _ = clause._compile_w_cache(engine.dialect, compiled_cache=cache, column_keys=sorted(names))
    _compiled_statements[statement] = CompiledStatement(ref(compiled), literals, names)
    return compiled, literals


async def _run(engine: Engine, compiled: Any, sent: Any) -> Answer:
    dialect, pooled = engine.dialect, None
    try:
        pooled = await greenlet_spawn(engine.raw_connection)
        answer = await _ask(pooled, dialect, compiled, sent)
    except dialect.loaded_dbapi.Error as error:
        lost = pooled is None or dialect.is_disconnect(error, pooled, None)
        if pooled:
            await _give_back(pooled, error if lost else None)
        raise DBAPIError.instance(
            compiled.string,
            None,
            error,
            dialect.loaded_dbapi.Error,
            hide_parameters=engine.hide_parameters,
            connection_invalidated=lost,
            dialect=dialect,
        ) from error
    except BaseException as error:
        if pooled:
            await _give_back(pooled, error)
        raise
    await _give_back(pooled)
    return answer


async def _ask(pooled: Any, dialect: Dialect, compiled: Any, sent: Any) -> Answer:
    connection = pooled.driver_connection
    if hasattr(connection, AUTOCOMMIT):  # waited for without a greenlet, whose stack is copied each time
        await connection.set_autocommit(True)
        cursor = connection.cursor()
        await cursor.execute(compiled.string, sent)
        rows = await cursor.fetchall()
    else:
        cursor = pooled.cursor()
        await greenlet_spawn(cursor.execute, compiled.string, sent)
        rows = cursor.fetchall()
    if (processes := _processes.get(compiled)) is None:
        processes = _processes[compiled] = list(_find_processes(dialect, compiled, cursor.description))
    return rows, processes


async def _give_back(pooled: Any, error: BaseException | None = None) -> None:
    """To the pool; after an error that leaves it in doubt, to nobody."""
    connection = pooled.driver_connection
    if error:
        await greenlet_spawn(pooled.invalidate, error)
    elif hasattr(connection, AUTOCOMMIT):
        await connection.set_autocommit(False)
    await greenlet_spawn(pooled._close_special, transaction_reset=True)  # there was none: nothing is to be rolled back


def _find_processes(dialect: Dialect, compiled: Any, description: Sequence[Any]) -> Iterator[tuple[int, Process]]:
    for place, (column, told) in enumerate(zip(compiled._result_columns, description, strict=True)):
        if process := column.type._cached_result_processor(dialect, told[1]):
            yield place, process


def _processed(row: Sequence[Any], processes: Processes) -> Sequence[Any]:
    values = list(row)
    for place, process in processes:
        values[place] = process(values[place])
    return values
