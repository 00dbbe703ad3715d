"""A feature with a large table, which has indexes for its filters, its order and its search.

`python -m bench.peers.ours.entries` creates the table and prints the cookie of a superuser.
"""

import asyncio
import os
from datetime import datetime

from alembic.migration import MigrationContext
from alembic.operations import Operations
from fastapi import FastAPI
from sqlalchemy import Connection, text
from sqlmodel import Field

from bench.peers.ours.prepare import add_rows, make_tables
from opportune.accounts.sessions.cookies import cookie_name
from opportune.application import create_app
from opportune.config import get_settings, installed_features
from opportune.crud import Crud, CrudApi, CrudPages, Permission
from opportune.db import Model, utc_now
from opportune.db.migrations.connection import connect
from opportune.db.migrations.search_index_steps import CreateSearchIndexOp
from opportune.feature import Admin, Feature

ROWS_VARIABLE = "BENCH_ENTRIES"
"""Environment variable with the number of rows."""
NUMBERS = {
    "sqlite": "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :rows)",
    "postgresql": "WITH numbers(n) AS (SELECT generate_series(1, CAST(:rows AS integer)))",
}
CREATED_AT = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%S.000000', '2026-01-01', n || ' seconds')",
    "postgresql": "timestamptz '2026-01-01 00:00Z' + n * interval '1 second'",
}
SHELF_ROWS = 20
"""Rows with the same shelf, and with the searched word."""


class Entry(Model, table=True):
    __tablename__ = "bench_entry"
    search_index = ("title", "note")

    title: str = Field(max_length=200)
    note: str = Field(default="", max_length=2000)
    done: bool = False
    shelf: int = Field(default=0, index=True)
    created_at: datetime = Field(default_factory=utc_now, index=True)


class Entries(Crud[Entry]):
    default = True
    read_permission = write_permission = Permission.ANYONE
    search = ("title", "note")
    filters = ("done", "shelf", "created_at")
    sort = ("id", "created_at")


entries = Feature(
    "entries",
    "A large list.",
    models=[Entry],
    pages=CrudPages(Entries, "/entries", columns=("id", "title", "done", "created_at")).router,
    api=CrudApi(Entries, "/entries").router,
    admin=Admin("bench.peers.ours.entries_admin"),
)


def add_entries(connection: Connection, rows: int) -> None:
    """Add rows, then the search index."""
    name = connection.dialect.name
    values = f"""
        SELECT 'Entry ' || n, CASE WHEN n <= {SHELF_ROWS} THEN 'Needle' ELSE 'Note ' || n % 97 END, n % 3 = 0,
            n / {SHELF_ROWS}, {CREATED_AT[name]} FROM numbers"""  # noqa: S608 - constants
    columns = "title, note, done, shelf, created_at"
    statement = f"INSERT INTO bench_entry ({columns}) {NUMBERS[name]} {values}"
    connection.execute(text(statement), {"rows": rows})
    Operations(MigrationContext.configure(connection)).invoke(CreateSearchIndexOp("bench_entry", Entry.search_index))
    connection.commit()
    connection.execution_options(isolation_level="AUTOCOMMIT")
    connection.execute(text("ANALYZE" if name == "sqlite" else "VACUUM ANALYZE bench_entry"))


def create() -> FastAPI:
    return create_app(features=[*installed_features(), entries])


if __name__ == "__main__":
    settings = get_settings()
    make_tables(settings)
    with connect(settings) as connection:
        add_entries(connection, int(os.environ[ROWS_VARIABLE]))
    print(f"{cookie_name(settings)}={asyncio.run(add_rows(settings))}")
