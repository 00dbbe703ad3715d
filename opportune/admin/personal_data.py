"""Data of users in the tables of the admin, also in those of its optional features."""

from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.admin.models import DashboardLayout, DefaultView, ImportFile, RowVersion, SavedView
from opportune.db.models.model import tables_with
from opportune.db.models.soft_delete import SoftDelete
from opportune.feature import Person, PersonalData


async def forget_author(session: AsyncSession, person: Person) -> None:
    """Remove the id of a user whose account is deleted. SQLite may give it to the next user."""
    columns: list[Any] = [RowVersion.actor_id, *(model.deleted_by_id for model in tables_with(SoftDelete))]
    for column in columns:
        await session.execute(update(column.class_).where(column == person.id).values({column.key: None}))


personal_data = PersonalData(
    summary="Your saved views, imported files and first page of the admin",
    owners=(SavedView.owner_id, DefaultView.user_id, DashboardLayout.user_id, ImportFile.owner_id),
    forget=forget_author,
)
