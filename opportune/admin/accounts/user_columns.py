"""Columns that features add to the page of a user: `Feature(user_columns=[UserColumn("Books", Book.owner_id)])`."""

from collections.abc import Sequence
from datetime import datetime

from sqladmin.authorization import Action
from sqlalchemy import func, select
from starlette.requests import Request

from opportune.accounts.models import User
from opportune.admin.lists.formatters import EMPTY_CELL
from opportune.admin.protocols import Site
from opportune.feature import UserColumn
from opportune.i18n import gettext
from opportune.i18n.formats import format_number
from opportune.web.time_zone import format_datetime


async def user_columns(request: Request, site: Site, user: User) -> list[tuple[str, str]]:
    """Return label and value of each column whose rows the current user may list, read in one query."""
    columns = [column for feature in request.app.state.features for column in feature.user_columns]
    listed = [column for column in columns if _is_listed(request, site, column)]
    if not listed:
        return []
    queries = [
        select(func.count() if column.value is None else column.value)
        .where(column.owner == user.id)
        .select_from(column.owner.class_)
        .scalar_subquery()
        for column in listed
    ]
    async with site.database.reader() as session:
        values: Sequence[object] = (await session.execute(select(*queries))).one()
    return [(gettext(column.label), _format(value)) for column, value in zip(listed, values, strict=True)]


def _is_listed(request: Request, site: Site, column: UserColumn) -> bool:
    view = site.view_for_model(column.owner.class_)
    return bool(view and view.is_accessible(request) and view.has_permission(request, Action.LIST))


def _format(value: object) -> str:
    if value is None:
        return EMPTY_CELL
    if isinstance(value, int):
        return format_number(value)
    return format_datetime(value) if isinstance(value, datetime) else str(value)
