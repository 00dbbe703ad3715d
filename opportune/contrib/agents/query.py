"""Read-only SQL for coding agents.

Secrets are masked, which prevents accidents: an agent that can run programs can also read the database without this
tool.
"""

import asyncio
import re
from functools import partial
from typing import Any

from opportune.config.settings import Settings
from opportune.contrib.agents.masks import masked_tables
from opportune.contrib.agents.query_postgresql import query_postgresql, require_masked
from opportune.contrib.agents.query_sqlite import query_sqlite
from opportune.contrib.agents.reading import read
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError

MAX_ROWS = 200
READING_STATEMENT = re.compile(r"\(*\s*(SELECT|WITH|VALUES)\b", re.IGNORECASE)
REFUSED_PATTERNS = (
    # Functions that wait, read files or run other SQL, and tables with statistics of columns
    r"\b(?:pg_|lo_|dblink|set_config|ts_stat|ts_rewrite|crosstab|connectby|xpath_table)\w*",
    r"\bsqlite_(?!master\b|schema\b)\w*",
    r"\b\w+_to_xml\w*",
    # Escapes, comments, and characters that some databases take for the end of a line, which can hide names of tables
    r"U&",
    r"/\*|--",
    r"[^\S\n\t ]|[\x00-\x08\x0e-\x1f]",
)
REFUSED = re.compile("|".join(REFUSED_PATTERNS), re.IGNORECASE)


async def run_query(settings: Settings, sql: str, max_rows: int) -> dict[str, Any]:
    """Run a SELECT statement in a read-only transaction, and return its columns and first rows.

    Secret columns are masked.

    Raises:
        OperatorError: The statement is not a single SELECT, could read secrets, or fails. The message is one line.
    """
    sql = sql.replace("\r\n", "\n").strip().rstrip(";").rstrip()
    _require_harmless(sql)
    limit = max(1, min(max_rows, MAX_ROWS))
    url = DatabaseUrl.parse(settings.database_url.get_secret_value())
    if url.kind == "sqlite":
        tables = await read(settings, masked_tables)
        return await asyncio.to_thread(query_sqlite, url.path, tables, sql, limit)
    # The statement runs before its check, because only then it is known to be one statement.
    result = await read(settings, partial(query_postgresql, sql=sql, limit=limit))
    await require_masked(settings, sql)
    return result


def _require_harmless(sql: str) -> None:
    if not READING_STATEMENT.match(sql):
        raise OperatorError("Only statements that begin with SELECT, WITH or VALUES can run.")
    if match := REFUSED.search(sql):
        raise OperatorError(
            f"A statement cannot contain {match[0]!r}. Use tables and plain functions, without comments."
        )
