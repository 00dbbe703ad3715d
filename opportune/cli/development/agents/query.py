"""Read-only SQL for coding agents."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, TextClause, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.config.settings import Settings
from opportune.db.factory import open_database
from opportune.db.models.columns import is_secret
from opportune.errors import OperatorError

MAX_ROWS = 200
MAX_CELL_CHARS = 500
TIMEOUT_SECONDS = 15
MASK = "(hidden)"


async def run_query(settings: Settings, sql: str, max_rows: int) -> dict[str, Any]:
    """Run a SELECT statement in a read-only transaction, and return its columns and first rows.

    Columns whose names are those of secrets are masked, and cannot be named in the statement.

    Raises:
        OperatorError: The statement is not a single SELECT, names a secret, or fails. The message is one line.
    """
    statement = bounded_statement(sql)
    limit = max(1, min(max_rows, MAX_ROWS))
    database = open_database(settings)
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS), database.reader() as session:
            return await fetch(session, statement, limit)
    except TimeoutError:
        raise OperatorError(f"The statement took more than {TIMEOUT_SECONDS} seconds and was cancelled.") from None
    except DBAPIError as error:
        raise OperatorError(f"The database refuses the statement: {str(error.orig).partition(chr(10))[0]}") from None
    finally:
        await database.dispose()


def bounded_statement(sql: str) -> TextClause:
    """Return a statement that selects from the given one.

    As a subquery, it cannot write, be several statements, or change the transaction. The parameter prevents psycopg
    from sending several statements.
    """
    sql = sql.strip().rstrip(";")
    if not re.match(r"\(*\s*(SELECT|WITH|VALUES)\b", sql, re.IGNORECASE):
        raise OperatorError("Only statements that begin with SELECT, WITH or VALUES can run.")
    if secret := next(filter(is_secret, re.findall(r"\w+", sql)), ""):
        raise OperatorError(f"{secret} is the name of a secret, which a statement cannot read. Use * for all columns.")
    escaped = sql.replace(":", r"\:")
    return text(f"SELECT * FROM (\n{escaped}\n) AS statement LIMIT :row_limit")  # noqa: S608 - checked above


async def fetch(session: AsyncSession, statement: TextClause, limit: int) -> dict[str, Any]:
    result = await session.execute(statement, {"row_limit": limit + 1})
    names = list(result.keys())
    rows = result.all()
    return {
        "columns": names,
        "rows": [displayed_row(names, row) for row in rows[:limit]],
        "has_more_rows": len(rows) > limit,
    }


def displayed_row(names: Sequence[str], row: Row[Any]) -> list[Any]:
    return [MASK if is_secret(name) else displayed_value(value) for name, value in zip(names, row, strict=True)]


def displayed_value(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float) else str(value)[:MAX_CELL_CHARS]
