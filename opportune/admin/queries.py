"""Queries of a view, in sessions that only read."""

from collections.abc import Sequence
from typing import Any

from opportune.admin.sqladmin_adapter import AdapterView
from opportune.db.queries.paths import loading_options


class Queries:
    """Reads rows for a view, such as `await view.queries.objects(select(Book))`."""

    def __init__(self, view: AdapterView, load: Sequence[str]) -> None:
        self._view, self._load = view, load

    async def objects(self, statement: Any) -> list[Any]:
        """Return the objects of a query for one model, or the values of one column."""
        async with self._view.session_maker() as session:
            return list((await session.scalars(statement)).unique())

    async def tuples(self, statement: Any) -> list[Any]:
        """Return the rows of a query for columns."""
        async with self._view.session_maker() as session:
            return list(await session.execute(statement))

    def loading(self, names: Sequence[str]) -> list[Any]:
        """Return the loader options for these names and for the view's `load`."""
        return loading_options(self._view.mapper, [*names, *self._load])
