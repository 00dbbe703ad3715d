"""Example contacts: added once to the team of the first superuser, and removed alone."""

from sqlalchemy import select
from sqlmodel import col

from app.contacts.demo import SAMPLES, clear, load
from app.contacts.models import Contact
from opportune.db import Database
from opportune.testing import Make, make_team, make_user


async def test_demo_is_added_once_and_removed_alone(database: Database, make: Make) -> None:
    team = await make_team(database, await make_user(database, is_superuser=True))
    other = await make(Contact, team_id=team.id)
    async with database.writer() as session:
        assert [await load(session), await load(session)] == [len(SAMPLES), 0]
        assert set(await session.scalars(select(col(Contact.team_id)))) == {team.id}
        assert await clear(session) == len(SAMPLES)
        assert list(await session.scalars(select(col(Contact.id)))) == [other.id]


async def test_demo_needs_a_team(database: Database) -> None:
    await make_user(database, is_superuser=True)
    async with database.writer() as session:
        assert await load(session) == 0
