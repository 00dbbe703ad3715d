"""The users who changed rows, by their ids: their e-mail addresses, and the removal of deleted users."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import User
from opportune.admin.row_versions.models import RowVersion
from opportune.db.models.model import tables_with
from opportune.db.models.soft_delete import SoftDelete
from opportune.feature import Person

if TYPE_CHECKING:
    from opportune.admin.protocols import View


async def load_emails(view: "View", user_ids: Iterable[int | None]) -> Mapping[int | None, str]:
    """Return the addresses by id of the user, in one query. Deleted users are left out."""
    ids = {*user_ids} - {None}
    users = select(col(User.id), col(User.email)).where(col(User.id).in_(ids))
    return dict(await view.fetch_tuples(users)) if ids else {}


async def forget_author(session: AsyncSession, person: Person) -> None:
    """Remove the id of a user whose account is deleted. SQLite may give it to the next user."""
    columns: list[Any] = [RowVersion.actor_id, *(model.deleted_by_id for model in tables_with(SoftDelete))]
    for column in columns:
        await session.execute(update(column.class_).where(column == person.id).values({column.key: None}))
