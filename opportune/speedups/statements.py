"""Single statements without a session. `oppman.py docs speedups` has their figures and the command.

SQLAlchemy's public API is `Connection.execute`, which makes statements slower.
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
from sqlalchemy.util import await_, greenlet_spawn

from opportune.speedups import require

require(Engine, "_has_events", "_should_log_info")
require(ClauseElement, "_compile_w_cache")
require(SQLCompiler, "_bind_processors")
require(TypeEngine, "_cached_result_processor")
require(Pooled, "_close_special")

TRANSACTION_EVENTS = ("engine_connect", "begin", "commit", "rollback")
STATEMENT_EVENTS = ("before_execute", "after_execute", "before_cursor_execute", "after_cursor_execute")

AUTOCOMMIT = "set_autocommit"
"""Method that only psycopg connections have. SQLite connections need none: they never begin transactions themselves."""

Processor = Callable[[Any], Any]
Processors = Sequence[tuple[int, Processor]]
RawResult = tuple[Sequence[Sequence[Any]], Processors]


class CompiledStatement(NamedTuple):
    """Compiled SQL of a statement with its literal values. Statements that differ only in literals share the SQL.

    The reference is weak, because compiled SQL often refers to its statement, which would then never be freed.
    """

    compiled: ReferenceType[Any]
    literals: Any
    parameters: Mapping[str, Any]
    """Values of `statement.params()`."""
    names: Sequence[str]


class PreparedStatement(NamedTuple):
    """Compiled SQL with literal values, while the statement runs."""

    compiled: Any
    literals: Any
    parameters: Mapping[str, Any]


_compiled_statements: WeakKeyDictionary[Any, CompiledStatement] = WeakKeyDictionary()
"""Compiled SQL by statement, until the statement is freed."""
_processors: WeakKeyDictionary[Any, Processors] = WeakKeyDictionary()
"""Result processors and their columns by compiled statement."""


async def fetch(engine: Engine, statement: Executable, values: Mapping[str, Any]) -> Sequence[Sequence[Any]] | None:
    """Run a statement in autocommit mode and return its rows.

    Returns None without running it if the adapter does not support it: the engine has event listeners, the statement
    has expanding parameters, or SQLAlchemy has not connected yet and does not know the server's features.
    """
    if (prepared := _prepare(engine, statement, (*values,))) is None:
        return None
    parameters = _bind_parameters(prepared, values)
    rows, processors = await greenlet_spawn(_run, engine, prepared.compiled, parameters)
    return _convert_rows(rows, processors)


def _prepare(engine: Engine, statement: Executable, names: Sequence[str]) -> PreparedStatement | None:
    has_listeners = engine._has_events and any(
        getattr(engine.dispatch, name) for name in (*TRANSACTION_EVENTS, *STATEMENT_EVENTS)
    )
    if not engine.dialect.server_version_info or has_listeners or engine._should_log_info():
        return None
    prepared = _compile(engine, statement, names)
    return prepared if _is_final(prepared.compiled) else None


def _bind_parameters(prepared: PreparedStatement, values: Mapping[str, Any]) -> Any:
    compiled = prepared.compiled
    values = {**prepared.parameters, **values}
    parameters = compiled.construct_params(values, extracted_parameters=prepared.literals, escape_names=False)
    for name, process in compiled._bind_processors.items():
        parameters[name] = process(parameters[name])
    return [parameters[name] for name in compiled.positiontup] if compiled.positional else parameters


def _is_final(compiled: Any) -> bool:
    """Return whether the SQL text is final and all result columns have types."""
    changes = compiled.literal_execute_params or compiled.post_compile_params or compiled.escaped_bind_names
    return bool(compiled._result_columns and compiled._ordered_columns) and not (changes or compiled.insert_prefetch)


def _compile(engine: Engine, statement: Executable, names: Sequence[str]) -> PreparedStatement:
    """Return the compiled SQL and the values of a statement.

    SQLAlchemy's cache compares all parts of a statement. This cache finds a statement by identity.
    """
    cached = _compiled_statements.get(statement)
    if cached and cached.names == names and (compiled := cached.compiled()) and compiled.dialect is engine.dialect:
        return PreparedStatement(compiled, cached.literals, cached.parameters)
    clause = cast("ClauseElement", statement)
    cache = engine.get_execution_options().get("compiled_cache", engine._compiled_cache)
    compiled, literals, parameters, _ = clause._compile_w_cache(
        engine.dialect, compiled_cache=cache, column_keys=sorted(names)
    )
    prepared = PreparedStatement(compiled, literals, parameters or {})
    _compiled_statements[statement] = CompiledStatement(ref(compiled), literals, prepared.parameters, names)
    return prepared


def _run(engine: Engine, compiled: Any, parameters: Any) -> RawResult:
    """Run a statement on a pooled connection, inside a greenlet."""
    dialect, pooled = engine.dialect, None
    try:
        pooled = engine.raw_connection()
        result = _fetch_rows(dialect, compiled, parameters, pooled)
    except dialect.loaded_dbapi.Error as error:
        is_lost = pooled is None or dialect.is_disconnect(error, pooled, None)
        if pooled:
            _release(pooled, error if is_lost else None)
        raise DBAPIError.instance(
            compiled.string,
            None,
            error,
            dialect.loaded_dbapi.Error,
            hide_parameters=engine.hide_parameters,
            connection_invalidated=is_lost,
            dialect=dialect,
        ) from error
    except BaseException as error:
        if pooled:
            _release(pooled, error)
        raise
    pooled._close_special(transaction_reset=True)  # no transaction to roll back
    return result


def _fetch_rows(dialect: Dialect, compiled: Any, parameters: Any, pooled: Any) -> RawResult:
    connection = pooled.driver_connection
    if hasattr(connection, AUTOCOMMIT):
        rows, cursor = await_(_fetch_in_autocommit(connection, compiled.string, parameters))
    else:
        cursor = pooled.cursor()
        cursor.execute(compiled.string, parameters)
        rows = cursor.fetchall()
    if (processors := _processors.get(compiled)) is None:
        processors = _processors[compiled] = list(_find_processors(dialect, compiled, cursor.description))
    return rows, processors


async def _fetch_in_autocommit(connection: Any, sql: str, parameters: Any) -> tuple[Sequence[Sequence[Any]], Any]:
    # One coroutine, because switching greenlets copies the stack each time.
    await connection.set_autocommit(True)
    cursor = connection.cursor()
    await cursor.execute(sql, parameters)
    rows = await cursor.fetchall()
    await connection.set_autocommit(False)
    return rows, cursor


def _release(pooled: Any, error: BaseException | None) -> None:
    """Return the connection of a failed statement to the pool. After an error that may have broken it, close it."""
    connection = pooled.driver_connection
    if error:
        pooled.invalidate(error)
    elif hasattr(connection, AUTOCOMMIT):
        await_(connection.set_autocommit(False))
    pooled._close_special(transaction_reset=True)


def _find_processors(dialect: Dialect, compiled: Any, description: Sequence[Any]) -> Iterator[tuple[int, Processor]]:
    for index, (column, column_description) in enumerate(zip(compiled._result_columns, description, strict=True)):
        if process := column.type._cached_result_processor(dialect, column_description[1]):
            yield index, process


def _convert_rows(rows: Sequence[Sequence[Any]], processors: Processors) -> Sequence[Sequence[Any]]:
    if not processors:
        return rows
    processed = [list(row) for row in rows]
    for values in processed:
        for index, process in processors:
            values[index] = process(values[index])
    return processed
