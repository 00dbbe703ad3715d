"""Shared code and output of the peers."""

import asyncio
import json
import resource
import sys

import psycopg

PARALLEL_JOBS = 5
CHANGES = "CREATE TABLE IF NOT EXISTS change (id INTEGER PRIMARY KEY)"
CHANGE = "INSERT INTO change DEFAULT VALUES"


def fill_table(url: str, table: str, statement: str, jobs: int) -> None:
    """Insert a backlog of jobs."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode(), [jobs])
        connection.execute(f"VACUUM ANALYZE {table}".encode())


async def report(seconds: float) -> None:
    """Print the results, and idle until standard input is closed."""
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "megabytes": megabytes}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
