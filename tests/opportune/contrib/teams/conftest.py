from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts.models import User
from opportune.contrib.teams.models import Team, TeamRole
from opportune.db.database import Database
from opportune.testing import make_team, make_user, signed_in_client
from tests.opportune.accounts.sent_emails import settings

__all__ = ["settings"]  # a fixture: e-mails arrive in a folder


Clients = Mapping[str, AsyncClient]


@dataclass(frozen=True)
class Crew:
    """A team with one user of each role, and another team of a `stranger`."""

    team: Team
    other_team: Team
    users: Mapping[str, User]


@pytest.fixture
async def crew(database: Database) -> Crew:
    names = (*TeamRole, "stranger")
    users = {str(name): await make_user(database, f"{name}@example.com", is_verified=True) for name in names}
    members = {role: users[role] for role in (TeamRole.ADMIN, TeamRole.MEMBER)}
    team = await make_team(database, users["owner"], members)
    return Crew(team, await make_team(database, users["stranger"], name="Others"), users)


@pytest.fixture
async def clients(app: FastAPI, crew: Crew) -> AsyncIterator[Clients]:
    async with AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(signed_in_client(app, user)) for name, user in crew.users.items()}
