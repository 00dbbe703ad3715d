"""Base classes of all tables."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from inspect import Signature
from typing import Annotated, Any, ClassVar, TypeVar

from fastapi import Path
from pydantic import BeforeValidator
from pydantic.fields import FieldInfo
from sqlalchemy import Integer, MetaData, Table, UniqueConstraint, event, inspect
from sqlalchemy.orm import InspectionAttr, registry
from sqlmodel import Field, SQLModel

from opportune.db.models.column_types import BigId, set_column_options, store_enum_values
from opportune.db.models.indexes import declare_search_index
from opportune.db.models.relationships import complete_relationships
from opportune.db.models.soft_delete import LiveRowComparator
from opportune.db.models.translated import is_translated
from opportune.errors import OperatorError
from opportune.schemas.annotations import Attached, annotations_of

MAX_ID = 2**63 - 1
RESERVED_NAMES = {"metadata", "registry", "model_fields"}
"""Attributes of model classes that a field would replace."""
T = TypeVar("T")

# Migrations can drop constraints only by name.
NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

# Separate from SQLModel's registry, because an existing application may have a `User` or `Group` itself.
REGISTRY = registry(metadata=MetaData(naming_convention=NAMING_CONVENTION))


class ModelBase(SQLModel, registry=REGISTRY):
    """Base of tables without an `id` column, such as link tables: `class BookTag(ModelBase, table=True)`."""

    keeps_history: ClassVar[bool]
    """Whether the audit log records changes outside the admin. False, except in `SoftDelete` and `Versioned` models."""
    search_index: ClassVar[bool | Sequence[str]] = False
    """Text columns with an index for searches. True means all text columns."""
    # SQLModel does not validate table rows, so the validator is built only when it is needed. SQLAlchemy's own
    # attributes, such as hybrid properties and association proxies, are no fields.
    model_config = {"defer_build": True, "ignored_types": (InspectionAttr,)}

    def __setattr__(self, name: str, value: Any) -> None:
        # SQLModel sets a column in SQLAlchemy and then again in Pydantic, which takes three times as long.
        if name in _columns_to_set_once(type(self)):
            object.__setattr__(self, name, value)  # calls SQLAlchemy's descriptor of the column
            self.model_fields_set.add(name)
        elif name in _computed_attributes(type(self)):
            object.__setattr__(self, name, value)  # Pydantic refuses names that are no fields
        else:
            super().__setattr__(name, value)

    def __hash__(self) -> int:
        """Hash by primary key, as in Django.

        Raises:
            TypeError: The row is not stored.
        """
        state = inspect(self, raiseerr=False)
        if state is None or state.identity is None:
            raise TypeError(f"This {type(self).__name__} has no hash: it is not stored yet.")
        return hash((type(self), state.identity))

    @classmethod
    def __init_subclass__(cls, **options: Any) -> None:
        """Refuse reserved names, and report both modules if two models declare the same table.

        Pydantic and SQLAlchemy would only warn about a reserved name, and name only the second module.
        """
        for name in RESERVED_NAMES & vars(cls).get("__annotations__", {}).keys():
            raise OperatorError(f"{cls.__module__}.{cls.__name__}: the name {name} is reserved. Rename this field.")
        if "Meta" in vars(cls):
            advice = "Its options are elsewhere (oppman.py docs from-django). Remove it."
            raise OperatorError(f"{cls.__module__}.{cls.__name__}: class Meta has no effect. {advice}")
        _refuse_table_inheritance(cls)
        _check_table_name(cls)
        super().__init_subclass__(**options)

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        """Choose column types before SQLModel creates the columns, and attach field types that need the model."""
        super().__pydantic_init_subclass__(**options)
        for relationship in cls.__sqlmodel_relationships__.values():
            if relationship.sa_relationship is None:
                arguments = {"comparator_factory": LiveRowComparator, **(relationship.sa_relationship_kwargs or {})}
                relationship.sa_relationship_kwargs = arguments
        for name, info in cls.model_fields.items():
            _set_column_options(f"{cls.__module__}.{cls.__name__}.{name}", info)
            for attached in annotations_of(info, Attached):
                attached.attach(cls, name)


def _refuse_table_inheritance(model: type[ModelBase]) -> None:
    """Refuse single-table and joined inheritance, for which SQLModel would silently map no table."""
    base = next((base for base in model.__mro__[1:] if "__table__" in vars(base)), None)
    if base and vars(model).keys() & {"__tablename__", "__mapper_args__", "__table_args__"}:
        raise OperatorError(
            f"{model.__module__}.{model.__name__} inherits the table of {base.__name__}, which SQLModel does not "
            f"support. Refer to {base.__name__} by a foreign key, or move shared fields to a class without table=True."
        )


def _check_table_name(model: type[ModelBase]) -> None:
    table = vars(model).get("__tablename__", "-")
    if not table or not (isinstance(table, str) or hasattr(table, "__get__")):
        advice = f'Write a text, such as "books_{model.__name__.lower()}".'
        raise OperatorError(f"{model.__module__}.{model.__name__}.__tablename__ is {table!r}. {advice}")
    if table in model.metadata.tables:
        models = (*ModelBase.__subclasses__(), *Model.__subclasses__())
        same_table = [other for other in models if vars(other).get("__tablename__") == table]
        modules = dict.fromkeys(other.__module__ for other in (*same_table, model))
        verb = "declares" if len(modules) == 1 else "declare"
        raise OperatorError(f"{' and '.join(modules)} {verb} the table {table} twice. Rename one of them.")


def _set_column_options(place: str, info: FieldInfo) -> None:
    """Set the options of a field's column. `place` is the field in errors."""
    try:
        set_column_options(info)
    except (TypeError, ValueError) as error:
        advice = "Choose another type, or set that of the column: Field(sa_type=…)."
        raise OperatorError(f"{place}: {error}. {advice}") from None
    if callable(info.default):
        advice = f"Write Field(default_factory={getattr(info.default, '__name__', '…')})."
        raise OperatorError(f"{place}: the default is a function. {advice}")


event.listen(ModelBase, "after_mapper_constructed", declare_search_index, propagate=True)
event.listen(ModelBase, "before_mapper_configured", complete_relationships, propagate=True)


@cache
def _columns_to_set_once(model: type[ModelBase]) -> frozenset[str]:
    """Return the columns of a table, unless Pydantic validates the values that are set."""
    mapper = inspect(model, raiseerr=False)
    if mapper is None or model.model_config.get("validate_assignment"):
        return frozenset()
    return frozenset(model.model_fields.keys() & mapper.column_attrs.keys())


@cache
def _computed_attributes(model: type[ModelBase]) -> frozenset[str]:
    """Return the names of hybrid properties, synonyms and association proxies, which may have setters."""
    mapper = inspect(model, raiseerr=False)
    if mapper is None:
        return frozenset()
    fields = {*mapper.column_attrs.keys(), *mapper.relationships.keys()}
    return frozenset(mapper.all_orm_descriptors.keys()).difference(fields)


class Model(ModelBase):
    """Base of tables with a 64-bit `id`: `class Book(Model, table=True)` with `__tablename__ = "books_book"`.

    Enum fields store the member's value, guarded by a check constraint. Integer fields with a `foreign_key` have 64
    bits. Lists and dictionaries are stored as JSON, `Text` has no length limit, and the types of `opportune.fields`
    define their columns.
    """

    id: int = Field(default=None, primary_key=True, sa_type=BigId)


class Versioned(SQLModel):
    """Mixin that keeps the values of each change of a row: `class Page(Model, Versioned, table=True)`."""

    keeps_history: ClassVar[bool] = True
    keep_version_days: ClassVar[int | None] = None
    """Days until a daily job deletes an older version. None keeps all versions of a row."""


@event.listens_for(Table, "after_parent_attach")
def _set_column_types(table: Table, metadata: MetaData) -> None:
    if metadata.naming_convention is NAMING_CONVENTION:  # not the table of a library
        store_enum_values(table)
        for column in table.columns:
            if column.foreign_keys and type(column.type) is Integer:
                column.type = BigId  # same type as the referenced ids
        _refuse_indexes_of_translations(table)


def _refuse_indexes_of_translations(table: Table) -> None:
    unique = {column for item in table.constraints if isinstance(item, UniqueConstraint) for column in item.columns}
    for column in table.columns:
        if is_translated(column) and (column.index or column in unique):
            raise OperatorError(f"{table.name}.{column.name} is translated. Remove unique or index from it.")


def _require_digits(text: object) -> object:
    """Refuse ` 1`, `+1`, `1_0` and `1\\n`, which Pydantic accepts as integers, so that each row has a single URL."""
    if isinstance(text, str) and not (text.isascii() and text.isdigit()):
        raise ValueError("must be digits")
    return text


RowKey = Annotated[int, BeforeValidator(_require_digits)]
RowId = Annotated[RowKey, Path(ge=1, le=MAX_ID)]
"""Id of a row as a path parameter. Numbers outside the range of ids are not found (404)."""


def tables_with(mixin: type[T]) -> list[type[T]]:
    """Return the site's tables with a mixin, such as `SoftDelete`."""
    classes = [*mixin.__subclasses__()]
    for class_ in classes:  # grows during the loop
        classes += class_.__subclasses__()
    tables: set[Any] = {*ModelBase.metadata.tables.values()}
    return [class_ for class_ in dict.fromkeys(classes) if vars(class_).get("__table__") in tables]


def utc_now() -> datetime:
    """Return the current time in UTC, for `default_factory`."""
    return datetime.now(UTC)


# Pydantic reads the signature for each new row. Without this line, that takes a third of the time of creating a row.
utc_now.__signature__ = Signature()  # type: ignore[attr-defined]
