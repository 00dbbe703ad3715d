from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from opportune.accounts.models import User
from opportune.contrib.teams.models import Team, TeamRole
from opportune.contrib.teams.testing import make_team
from opportune.db.database import Database
from opportune.testing.factories import make_user, signed_in_client
from tests.opportune.accounts.sent_emails import settings

__all__ = ["settings"]  # a fixture: e-mails arrive in a folder


@dataclass(frozen=True)
class Crew:
    """A team with one of each role, and somebody who is in another one."""

    team: Team
    foreign: Team
    people: Mapping[str, User]


@pytest.fixture
async def crew(database: Database) -> Crew:
    names = (*TeamRole, "stranger")
    people = {str(name): await make_user(database, f"{name}@example.com", is_verified=True) for name in names}
    others = {TeamRole.ADMIN: people["admin"], TeamRole.MEMBER: people["member"]}
    team = await make_team(database, people["owner"], others)
    return Crew(team, await make_team(database, people["stranger"], name="Others"), people)


@pytest.fixture
async def clients(app: FastAPI, crew: Crew) -> AsyncIterator[Mapping[str, AsyncClient]]:
    """A browser of each of them."""
    async with AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(signed_in_client(app, user)) for name, user in crew.people.items()}
