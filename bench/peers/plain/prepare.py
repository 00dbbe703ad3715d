"""Creates tables and rows, and prints the cookie of a signed-in user for Starlette's SessionMiddleware."""

import asyncio
import json
from base64 import b64encode

from itsdangerous import TimestampSigner
from sqlalchemy import text

from bench.harness.tasks import EMAIL, ITEMS
from bench.peers.plain.app import SECRET_KEY, Base, Item, User, engine, sessions


async def add_rows() -> int:
    """Return the id of the user."""
    if engine.dialect.name == "sqlite":
        async with engine.connect() as connection:
            await connection.execute(text("PRAGMA journal_mode = WAL"))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with sessions() as session:
        user = User(email=EMAIL)
        session.add_all([user, *(Item(**item) for item in ITEMS)])
        await session.commit()
    await engine.dispose()
    return user.id


if __name__ == "__main__":
    content = b64encode(json.dumps({"user_id": asyncio.run(add_rows())}).encode())
    print(f"session={TimestampSigner(SECRET_KEY).sign(content).decode()}")
