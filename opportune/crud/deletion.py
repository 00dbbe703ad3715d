"""Preview of the deletion of a row, with the titles of related rows the user may see."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import inspect, select
from sqlalchemy.orm import Mapper

from opportune.crud.crud import Crud
from opportune.crud.formats import name_of
from opportune.crud.registry import default_crud
from opportune.db.models.columns import label_of_class
from opportune.db.queries.deletion_impact import DeletionImpact, RelatedModel, find_deletion_impact
from opportune.i18n import lower_name


async def deletion_impact(crud: Crud[Any], row: Any, url_of: Callable[[Any], str]) -> DeletionImpact:
    """Return what deleting a row does to related rows. Rows of models without a `Crud` class are only counted.

    `url_of` returns the URL of a related row, or an empty text. Moving a row to the trash does nothing to related
    rows.
    """
    if crud.definition.has_trash:
        return DeletionImpact()
    mapper: Mapper[Any] = inspect(crud.model)

    async def describe(model: type[Any], count: int, _column: str) -> RelatedModel:
        if _is_link_table(mapper, model.__table__):
            return RelatedModel("")
        default = default_crud(model)
        label = label_of_class(default if default and count != 1 else model)
        visible = select(model).where(crud.visible(model)) if default else None
        return RelatedModel(lower_name(label), visible, url_of)

    impact = await find_deletion_impact(crud.session, mapper, crud.model.id == row.id, describe, name_of)
    impact.deleted = [rows for rows in impact.deleted if rows.label]
    return impact


def _is_link_table(mapper: Mapper[Any], table: Any) -> bool:
    """Return whether a table is the link table of a many-to-many relationship."""
    relations = (relation for other in mapper.registry.mappers for relation in other.relationships)
    return any(relation.secondary is table for relation in relations)
