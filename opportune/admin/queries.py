"""Reads rows for a view, in a session that only reads."""

from collections.abc import Sequence
from typing import Any

from sqladmin import ModelView

from opportune.admin.base import BaseAdminView
from opportune.db.queries.paths import loading_options


async def fetch_rows(view: ModelView, statement: Any) -> list[Any]:
    """Return the objects of a query for one model, or the values of one column."""
    async with view.session_maker() as session:
        return list((await session.scalars(statement)).unique())


async def fetch_tuples(view: ModelView, statement: Any) -> list[Any]:
    """Return the rows of a query for columns."""
    async with view.session_maker() as session:
        return list(await session.execute(statement))


def loader_options(view: BaseAdminView, names: Sequence[str]) -> list[Any]:
    """Return the loader options for these names and for the view's `load`."""
    return loading_options(view.mapper, [*names, *view.load])
