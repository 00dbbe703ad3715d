"""Makes tables, rows and a session; prints the cookie of somebody who is signed in."""

import asyncio

from sqlalchemy import insert

from app.accounts import sessions
from app.accounts.models import User
from app.core.db.migrations.connection import connect
from app.core.db.migrations.runner import plan_for, run
from app.core.db.migrations.tree import Tree
from app.core.db.model import Model, utc_now
from app.core.db.opening import open_database
from app.core.settings import Settings, get_settings
from app.installed import NAMES
from bench.harness.tasks import EMAIL, ITEMS, many, more_items
from bench.peers.ours.feature import Item


def make_tables(settings: Settings) -> None:
    tree = Tree(NAMES)
    with connect(settings) as connection:
        run(connection, tree, plan_for(tree))
        Model.metadata.create_all(connection)
        connection.commit()


async def fill(settings: Settings) -> str:
    """The token of a session."""
    database = open_database(settings)
    await database.setup()
    async with database.writer() as session:
        user = User(email=EMAIL, hashed_password="nobody signs in with it", is_superuser=many() > 0)  # noqa: S106 - as it says
        session.add_all([user, *(Item(**item) for item in ITEMS)])
        await session.flush()
        for piece in more_items(utc_now()):
            await session.execute(insert(Item), piece)
        token = await sessions.start(session, user)
    await database.dispose()
    return token


if __name__ == "__main__":
    settings = get_settings()
    make_tables(settings)
    print(f"{sessions.cookie_name(settings)}={asyncio.run(fill(settings))}")
