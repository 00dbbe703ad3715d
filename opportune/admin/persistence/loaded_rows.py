"""Loads relationships together with the rows of a view, for its columns, hooks and actions."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import set_committed_value

from opportune.admin.sqladmin_adapter import AdapterView
from opportune.db.models.columns import many_to_many_of
from opportune.db.queries.paths import column_of_relation, loading_options, read_path_values


class LoadedRowsMixin(AdapterView):
    load: ClassVar[Sequence[str]] = ()
    """Relationships and paths to load with every row, such as `("reviews", "author.country")`.

    Relationships in listed columns are always loaded. Hooks and actions also have all relationships to one row and all
    many-to-many relationships."""

    def loading(self, names: Sequence[str]) -> list[Any]:
        """Return the loader options for these names and for `load`."""
        return loading_options(self.mapper, [*names, *self.load])

    def loading_for_hooks(self) -> list[Any]:
        return self.loading([*self._to_one(), *many_to_many_of(self.mapper)])

    def _to_one(self) -> dict[str, str]:
        """Return the foreign key columns of relationships to one row, by relationship."""
        keys = [relation.key for relation in self.mapper.relationships]
        columns = {key: column_of_relation(self.mapper, key) for key in keys}
        return {name: column for name, column in columns.items() if column != name}

    async def load_for_hooks(self, session: AsyncSession, row: Any) -> None:
        """Load the relationships of a row whose foreign keys a form has set, before the row is written."""
        for name, column in self._to_one().items():
            relation, row_id = self.mapper.relationships[name], getattr(row, column)
            if tuple(relation.remote_side) == relation.mapper.primary_key:
                related = None if row_id is None else await session.get(relation.mapper.class_, row_id)
                set_committed_value(row, name, related)
        await session.run_sync(lambda _: [read_path_values(row, path) for path in self.load])

    def advise_loading(self, model: str, name: str) -> str:
        """Return the code that loads a relationship of a model, as advice on the error page."""
        path = next(self._paths_to(model, name), name)
        return f"class {type(self).__name__}(AdminView, …):\n    load = {(*self.load, path)!r}"

    def _paths_to(self, model: str, name: str) -> Iterator[str]:
        if self.model.__name__ == model:
            yield name
        relations = self.mapper.relationships.items()
        yield from (f"{key}.{name}" for key, relation in relations if relation.mapper.class_.__name__ == model)
