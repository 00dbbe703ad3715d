"""Relationships that are loaded with the rows of a view, for its columns, hooks and actions."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import set_committed_value

from opportune.admin.sqladmin_adapter import AdapterView
from opportune.db.models.columns import many_to_many_of
from opportune.db.queries.paths import column_of_relation, loading, values_at


class LoadedRowsMixin(AdapterView):
    load: ClassVar[Sequence[str]] = ()
    """Relationships and paths to load with every row, such as `("reviews", "author.country")`. Relationships of columns
    are always loaded. For hooks and actions, so are all relationships to one row and many-to-many."""

    def loading(self, names: Sequence[str]) -> list[Any]:
        """Return the loader options for these names and for `load`."""
        return loading(self.mapper, [*names, *self.load])

    def loading_for_hooks(self) -> list[Any]:
        return self.loading([*self._to_one(), *many_to_many_of(self.mapper)])

    def _to_one(self) -> dict[str, str]:
        """The columns of relationships to one row, by relationship."""
        columns = {each.key: column_of_relation(self.mapper, each.key) for each in self.mapper.relationships}
        return {name: column for name, column in columns.items() if column != name}

    async def load_for_hooks(self, session: AsyncSession, row: Any) -> None:
        """Load the relationships of a row that is not written yet, after a form has set its foreign keys."""
        for name, column in self._to_one().items():
            relation, row_id = self.mapper.relationships[name], getattr(row, column)
            if tuple(relation.remote_side) == relation.mapper.primary_key:
                related = None if row_id is None else await session.get(relation.mapper.class_, row_id)
                set_committed_value(row, name, related)
        await session.run_sync(lambda _: [values_at(row, path) for path in self.load])

    def advise_loading(self, model: str, name: str) -> str:
        """Return the line that loads a relationship of a model, for the error page."""
        path = next(self._paths_to(model, name), name)
        return f"class {type(self).__name__}(AdminView, …):\n    load = {(*self.load, path)!r}"

    def _paths_to(self, model: str, name: str) -> Iterator[str]:
        if self.model.__name__ == model:
            yield name
        yield from (f"{each.key}.{name}" for each in self.mapper.relationships if each.mapper.class_.__name__ == model)
