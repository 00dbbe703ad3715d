"""Single statements without a session: 20 % of a signed-in page, 40 % of an insert (`bench.speed --only mine,add`).

The public way is `Connection.execute`, which takes half as long again as the statement itself.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, TypeVar, cast
from weakref import ReferenceType, WeakKeyDictionary, ref

from sqlalchemy import Engine, Executable
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool.base import _ConnectionFairy as Pooled
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine
from sqlalchemy.util import greenlet_spawn

from opportune.config.speedups import require
from opportune.db.queries.dependent_statement import Following

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
Result = TypeVar("Result")
Answer = tuple[Sequence[Sequence[Any]], Processes]


class CompiledStatement(NamedTuple):
    """The SQL of a statement, and the statement's literal values: statements that differ only in these share the SQL.

    The reference is weak: compiled SQL often refers to its statement, which would then never be freed.
    """

    compiled: ReferenceType[Any]
    literals: Any
    names: Sequence[str]


class Ready(NamedTuple):
    """The SQL of a statement, and the statement's literal values, while it runs."""

    compiled: Any
    literals: Any


_compiled_statements: WeakKeyDictionary[Any, CompiledStatement] = WeakKeyDictionary()
"""By statement, as long as the statement lives."""
_processes: WeakKeyDictionary[Any, Processes] = WeakKeyDictionary()
"""By compiled statement what makes of a driver's values ours, and in which places."""


async def fetch(engine: Engine, statement: Executable, values: Mapping[str, Any]) -> Sequence[Sequence[Any]] | None:
    """The rows of a statement that is a transaction of its own.

    None before anything is done where it takes more than is known here: somebody listens, there are lists in it, or
    nobody has connected yet, which tells SQLAlchemy what the server can do.
    """
    if (ready := _prepare(engine, statement, (*values,))) is None:
        return None
    sent = _parameters(ready, values)
    rows, processes = await _run(engine, ready.compiled, partial(_ask, engine.dialect, ready.compiled, sent))
    return _processed_rows(rows, processes)


async def write(
    engine: Engine, statement: Executable, values: Mapping[str, Any], following: Sequence[Following]
) -> Sequence[Sequence[Any]] | None:
    """Return the rows of a statement, in one transaction with the statements that follow from them.

    None before anything is done, as in `fetch`.
    """
    ready = _prepare(engine, statement, (*values,))
    prepared = [_prepare(engine, each.statement, (*each.names,)) for each in following]
    if ready is None or None in prepared:
        return None
    others = [(each, then) for each, then in zip(following, prepared, strict=True) if then]

    def write_all(pooled: Any) -> Sequence[Sequence[Any]]:
        engine.dialect.do_begin(pooled.dbapi_connection)
        rows = _processed_rows(*_execute(pooled, engine.dialect, ready.compiled, _parameters(ready, values)))
        for each, then in others:
            if (added := each.values(rows)) is not None:
                _execute(pooled, engine.dialect, then.compiled, _parameters(then, added))
        pooled.commit()
        return rows

    async def in_transaction(pooled: Any) -> Sequence[Sequence[Any]]:
        try:
            return await greenlet_spawn(write_all, pooled)
        except Exception:
            with suppress(engine.dialect.loaded_dbapi.Error):  # the connection may be lost
                await greenlet_spawn(pooled.rollback)
            raise

    return await _run(engine, ready.compiled, in_transaction)


def _prepare(engine: Engine, statement: Executable, names: Sequence[str]) -> Ready | None:
    if not engine.dialect.server_version_info or _is_heard(engine) or engine._should_log_info():
        return None
    ready = Ready(*_compile(engine, statement, names))
    return ready if _is_plain(ready.compiled) else None


def _parameters(ready: Ready, values: Mapping[str, Any]) -> Any:
    compiled = ready.compiled
    given = compiled.construct_params(values, extracted_parameters=ready.literals, escape_names=False)
    for name, process in compiled._bind_processors.items():
        given[name] = process(given[name])
    return [given[name] for name in compiled.positiontup] if compiled.positional else given


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


async def _run(engine: Engine, compiled: Any, work: Callable[[Any], Awaitable[Result]]) -> Result:
    """Do this work on a connection of the pool."""
    dialect, pooled = engine.dialect, None
    try:
        pooled = await greenlet_spawn(engine.raw_connection)
        result = await work(pooled)
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
    return result


async def _ask(dialect: Dialect, compiled: Any, sent: Any, pooled: Any) -> Answer:
    connection = pooled.driver_connection
    if not hasattr(connection, AUTOCOMMIT):
        return await greenlet_spawn(_execute, pooled, dialect, compiled, sent)
    # Awaited without a greenlet, whose stack is copied each time.
    await connection.set_autocommit(True)
    cursor = connection.cursor()
    await cursor.execute(compiled.string, sent)
    return await cursor.fetchall(), _processes_of(dialect, compiled, cursor)


def _execute(pooled: Any, dialect: Dialect, compiled: Any, sent: Any) -> Answer:
    """Run a statement in a greenlet."""
    cursor = pooled.cursor()
    cursor.execute(compiled.string, sent)
    return cursor.fetchall(), _processes_of(dialect, compiled, cursor)


def _processes_of(dialect: Dialect, compiled: Any, cursor: Any) -> Processes:
    if (processes := _processes.get(compiled)) is None:
        processes = _processes[compiled] = list(_find_processes(dialect, compiled, cursor.description))
    return processes


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


def _processed_rows(rows: Sequence[Sequence[Any]], processes: Processes) -> Sequence[Sequence[Any]]:
    return [_processed(row, processes) for row in rows] if processes else rows


def _processed(row: Sequence[Any], processes: Processes) -> Sequence[Any]:
    values = list(row)
    for place, process in processes:
        values[place] = process(values[place])
    return values
