"""Creates tables, rows, a session and users with passwords, and prints the cookie of a signed-in user."""

import asyncio
import os

from sqlalchemy import insert

from bench.harness.databases import PREPARED_VARIABLE, migrate
from bench.harness.tasks import EMAIL, ITEMS, PASSWORD, additional_items, additional_row_count, user_emails
from bench.peers.ours.feature import Item
from opportune.accounts import User
from opportune.accounts.passwords import hashing
from opportune.accounts.sessions.cookies import cookie_name
from opportune.accounts.sessions.service import create_session
from opportune.config import Settings, get_settings
from opportune.db import Model, open_database, utc_now
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.runner import run_migrations
from opportune.project.installed import installed_names


def make_tables(settings: Settings) -> None:
    if PREPARED_VARIABLE in os.environ:
        migrate(settings.database_url.get_secret_value())
    graph = MigrationGraph(installed_names())
    with connect(settings) as connection:
        run_migrations(connection, graph)
        Model.metadata.create_all(connection)
        connection.commit()


async def add_rows(settings: Settings) -> str:
    """Return the token of a session."""
    database = open_database(settings)
    await database.setup()
    hashed = await hashing.hash_password(PASSWORD)
    async with database.writer() as session:
        user = User(email=EMAIL, hashed_password="unused", is_superuser=additional_row_count() > 0)  # noqa: S106 - not a password
        session.add_all([user, *(Item(**item) for item in ITEMS)])
        await session.flush()
        session.add_all(User(email=email, hashed_password=hashed) for email in user_emails())
        for batch in additional_items(utc_now()):
            await session.execute(insert(Item), batch)
        token = await create_session(session, settings, user)
    await database.dispose()
    return token


if __name__ == "__main__":
    settings = get_settings()
    make_tables(settings)
    print(f"{cookie_name(settings)}={asyncio.run(add_rows(settings))}")
