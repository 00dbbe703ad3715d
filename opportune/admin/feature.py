"""The feature of the admin: its views, pages and checks, and the personal data in its tables."""

from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.admin.log.recording import RECORDING
from opportune.admin.models import AuditEntry, DashboardLayout, DefaultView, ImportFile, RowVersion, SavedView
from opportune.admin.shipped_groups import shipped_group_statements
from opportune.admin.trash.retention import empty_trash_daily
from opportune.db.models.model import tables_with
from opportune.db.models.soft_delete import SoftDelete
from opportune.db.queries.batches import older_than
from opportune.feature import Accounts, Admin, Cleanup, Data, Feature, Jobs, Person, PersonalData


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

admin = Feature(
    "admin",
    "The admin site and its log of changes.",
    models=(AuditEntry, SavedView, DefaultView, DashboardLayout, RowVersion, ImportFile),
    admin=Admin("opportune.admin.log.history"),
    hooks=RECORDING,
    data=Data(post_migrate=(shipped_group_statements,)),
    accounts=Accounts(personal_data=personal_data),
    jobs=Jobs(
        (empty_trash_daily,),
        cleanups=(Cleanup(AuditEntry, lambda settings: older_than(AuditEntry.at, settings.audit_days)),),
    ),
)
