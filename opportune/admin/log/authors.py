"""E-mail addresses of the users who changed rows."""

from collections.abc import Iterable, Mapping

from sqlalchemy import select
from sqlmodel import col

from opportune.accounts.models import User
from opportune.admin.protocols import View


async def load_emails(view: View, user_ids: Iterable[int | None]) -> Mapping[int | None, str]:
    """Return the addresses by id of the user, in one query. Deleted users are left out."""
    ids = {*user_ids} - {None}
    users = select(col(User.id), col(User.email)).where(col(User.id).in_(ids))
    return dict(await view.fetch_tuples(users)) if ids else {}
