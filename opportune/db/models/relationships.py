"""Options of relationships that follow from their models: the related model, its column, and deletion with a parent."""

from functools import partial
from typing import Any

from sqlalchemy import Column
from sqlalchemy.orm import Mapper, RelationshipProperty

from opportune.errors import OperatorError

JOIN_OPTIONS = {"foreign_keys", "remote_side", "primaryjoin", "secondary"}


def join_options(model: type[Any], name: str) -> dict[str, Any]:
    """Return options with which the relationship `author` joins by the column `author_id`, unless it has its own.

    SQLAlchemy requires them if a table refers to itself, or several times to another one.
    """
    info = model.__sqlmodel_relationships__[name]
    if info.link_model or JOIN_OPTIONS & (info.sa_relationship_kwargs or {}).keys():
        return {}
    return {"foreign_keys": partial(_column_to_join, model, name), "remote_side": partial(_key_to_join, model, name)}


def _column_to_join(model: type[Any], name: str) -> Column[Any] | None:
    """Return the column `author_id`, of this table or of the one with the opposite relationship.

    None if both tables have such a column. SQLAlchemy then reports that the join is ambiguous.
    """
    related = getattr(model, name).property.argument
    column = _reference_named(model, name, related)
    opposite = _reference_named(related, model.__sqlmodel_relationships__[name].back_populates, model)
    if column is not None and opposite is not None:
        return None
    return opposite if column is None else column


def _key_to_join(model: type[Any], name: str) -> Column[Any] | None:
    """Return the id of the parent if a table refers to itself."""
    column = _reference_named(model, name, model)
    keys = set() if column is None else column.foreign_keys
    return next((key.column for key in keys if key.references(model.__table__)), None)


def _reference_named(model: Any, name: str | None, related: Any) -> Column[Any] | None:
    """Return the column of a relationship with this name if it alone refers to the related model's table."""
    table = getattr(model, "__table__", None)
    related_table = getattr(related, "__table__", None)
    if table is None or related_table is None or f"{name}_id" not in table.columns:
        return None
    column: Column[Any] = table.columns[f"{name}_id"]
    constraints = [key.constraint for key in column.foreign_keys if key.references(related_table)]
    return column if any(constraint and len(constraint.columns) == 1 for constraint in constraints) else None


def complete_relationships(mapper: Mapper[Any], model: type[Any]) -> None:
    """Set the options of a model's relationships before SQLAlchemy reads them."""
    for relation in mapper.relationships:
        if isinstance(relation.argument, str) and (target := _find_model(relation)):
            relation.argument = target
        has_deletion_rule = relation.cascade.delete or relation.passive_deletes
        if not has_deletion_rule and _is_one_to_many(relation, model) and _has_cascading_keys(relation):
            # Otherwise, SQLAlchemy first sets the foreign keys to NULL, and the database deletes none of the rows.
            relation.cascade = ", ".join(sorted({*relation.cascade, "delete"}))
            relation.passive_deletes = True


def _find_model(relation: RelationshipProperty[Any]) -> type[Any] | None:
    """Return the model with the name of the relation's target. That of the same module has precedence."""
    name = relation.argument
    parent = relation.parent.class_
    models = [mapper.class_ for mapper in relation.parent.registry.mappers if mapper.class_.__name__ == name]
    if len(models) > 1:
        models = [model for model in models if model.__module__ == parent.__module__] or models
    if len(models) > 1:
        places = " and ".join(sorted(f"{model.__module__}.{name}" for model in models))
        raise OperatorError(f"{parent.__module__}.{parent.__name__}.{relation.key}: {places} share a name. Rename one.")
    return models[0] if models else None


def _is_one_to_many(relation: RelationshipProperty[Any], model: type[Any]) -> bool:
    """Return whether a relation is a list without a link table. SQLAlchemy sets its `direction` later."""
    info = model.__sqlmodel_relationships__.get(relation.key)
    if info is None or info.link_model or "secondary" in (info.sa_relationship_kwargs or {}):
        return False
    return relation.collection_class is not None


def _has_cascading_keys(relation: RelationshipProperty[Any]) -> bool:
    """Return whether all foreign keys of the related table to the parent's table have ondelete="CASCADE"."""
    table = getattr(relation.argument, "__table__", None)
    keys = [] if table is None else table.foreign_keys
    actions = {key.ondelete for key in keys if key.target_fullname.startswith(f"{relation.parent.local_table}.")}
    return {(action or "").upper() for action in actions} == {"CASCADE"}
