"""Deletion of the files of documents that the database deletes by a cascade."""

from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import User
from opportune.contrib.knowledge.models import KnowledgeCollection
from opportune.contrib.knowledge.service import list_files
from opportune.contrib.teams.models import Team
from opportune.db.hooks.registry import before_delete
from opportune.jobs import defer
from opportune.jobs.stored_files import delete_files


@before_delete(KnowledgeCollection)
async def delete_files_of_collection(session: AsyncSession, collection: KnowledgeCollection) -> None:
    await _delete_files(session, col(KnowledgeCollection.id) == collection.id)


@before_delete(Team)
async def delete_files_of_team(session: AsyncSession, team: Team) -> None:
    await _delete_files(session, col(KnowledgeCollection.team_id) == team.id)


@before_delete(User)
async def delete_files_of_user(session: AsyncSession, user: User) -> None:
    await _delete_files(session, col(KnowledgeCollection.owner_id) == user.id)


async def _delete_files(session: AsyncSession, condition: ColumnElement[bool]) -> None:
    if names := await list_files(session, condition):
        defer(session, delete_files([*names]))
