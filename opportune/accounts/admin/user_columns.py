"""Columns of other features on the page of a user."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqladmin.authorization import Action
from sqlalchemy import Select, func, select
from starlette.requests import Request

from opportune.accounts.models import User
from opportune.admin.authorization import may_act
from opportune.admin.base import BaseAdminSite
from opportune.admin.lists.formatters import EMPTY_CELL
from opportune.admin.lists.row_conditions import row_conditions
from opportune.feature import UserColumn
from opportune.i18n import gettext
from opportune.i18n.formats import format_number
from opportune.web.time_zone import format_datetime


async def user_columns(request: Request, site: BaseAdminSite, user: User) -> list[tuple[str, str]]:
    """Return label and value of each column whose rows the current user may list, read in one query."""
    columns = [column for feature in request.app.state.features for column in feature.admin.user_columns]
    views = [(column, site.view_for_model(column.owner.class_)) for column in columns]
    listed = [(column, view) for column, view in views if view and may_act(request, view, Action.LIST)]
    if not listed:
        return []
    queries = [_select_value(column, user).where(*row_conditions(view, request)) for column, view in listed]
    statement = select(*(query.scalar_subquery() for query in queries))
    async with site.database.reader() as session:
        values: Sequence[object] = (await session.execute(statement)).one()
    return [(gettext(column.label), _format(value)) for (column, _), value in zip(listed, values, strict=True)]


def _select_value(column: UserColumn, user: User) -> Select[Any]:
    value = func.count() if column.value is None else column.value
    return select(value).where(column.owner == user.id).select_from(column.owner.class_)


def _format(value: object) -> str:
    if value is None:
        return EMPTY_CELL
    if isinstance(value, int):
        return format_number(value)
    return format_datetime(value) if isinstance(value, datetime) else str(value)
