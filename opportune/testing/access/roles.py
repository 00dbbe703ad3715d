"""Clients of each role, and a site with rows that they request."""

from collections.abc import Mapping

from fastapi import FastAPI

from opportune.accounts.models import User
from opportune.testing.factories import make_user, session_cookie
from opportune.testing.sample_rows import insert_sample_rows

ROLES = ("anonymous", "user", "owner", "staff", "superuser")
"""Roles of clients. The owner has one row of each table, the user has none, and staff have no permissions."""

Headers = Mapping[str, str]


async def headers_by_role(app: FastAPI) -> dict[str, Headers]:
    """Create sample rows and a user for each role, and return the request headers by role."""
    database = app.state.database
    users = {
        "owner": await insert_sample_rows(database, app.state.features),
        "user": await make_user(database),
        "staff": await make_user(database, is_staff=True),
        "superuser": await make_user(database, is_superuser=True),
    }
    return {"anonymous": {}} | {role: await session_headers(app, user) for role, user in users.items()}


async def session_headers(app: FastAPI, user: User) -> Headers:
    name, token = await session_cookie(app, user)
    return {"cookie": f"{name}={token}"}
