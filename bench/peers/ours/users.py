"""Creates users with password hashes of the site."""

import asyncio

from bench.harness.tasks import PASSWORD, user_emails
from opportune.accounts import User
from opportune.accounts.passwords import hashing
from opportune.config import get_settings
from opportune.db import open_database


async def add_users() -> None:
    database = open_database(get_settings())
    await database.setup()
    hashed = await hashing.hash_password(PASSWORD)
    async with database.writer() as session:
        session.add_all(User(email=email, hashed_password=hashed) for email in user_emails())
    await database.dispose()


if __name__ == "__main__":
    asyncio.run(add_users())
