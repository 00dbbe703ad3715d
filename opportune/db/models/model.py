"""Base classes of all tables."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, ClassVar, TypeVar

from sqlalchemy import Integer, MetaData, Table, UniqueConstraint, event, inspect
from sqlalchemy.orm import InspectionAttr, registry
from sqlmodel import Field, SQLModel

from opportune.db.models import declaration_checks
from opportune.db.models.column_types import BigId, store_enum_values
from opportune.db.models.indexes import declare_search_index
from opportune.db.models.relationships import complete_relationships, join_options
from opportune.db.models.soft_delete import LiveRowComparator
from opportune.db.models.translated import is_translated
from opportune.errors import OperatorError
from opportune.errors.suggestions import did_you_mean
from opportune.schemas.annotations import Attached, annotations_of

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

    def __init__(self, **values: Any) -> None:
        """Create a row that is not stored yet.

        Raises:
            ValueError: The table has no field of this name. SQLModel would ignore the value. In the body of a request,
                Pydantic reports it like other invalid values.
        """
        model = type(self)
        unknown = values.keys() - _settable_names(model)
        if unknown and model.model_config.get("table") and model.model_config.get("extra") != "allow":
            name = min(unknown)
            raise ValueError(f"{model.__name__} has no field {name!r}.{did_you_mean(name, _settable_names(model))}")
        super().__init__(**values)
        for name in values.keys() & _computed_attributes(model):
            setattr(self, name, values[name])

    def __setattr__(self, name: str, value: Any) -> None:
        # SQLModel sets a column in SQLAlchemy and then again in Pydantic, which is slow.
        if name in _columns_to_set_once(type(self)):
            object.__setattr__(self, name, value)  # calls SQLAlchemy's descriptor of the column
            self.__pydantic_fields_set__.add(name)
        elif name in _computed_attributes(type(self)):
            object.__setattr__(self, name, value)  # Pydantic refuses names that are no fields
        else:
            super().__setattr__(name, value)

    def __hash__(self) -> int:
        """Hash by primary key, as in Django."""
        state = inspect(self, raiseerr=False)
        if state is None or state.identity is None:
            raise TypeError(f"This {type(self).__name__} has no hash: it is not stored yet.")
        return hash((type(self), state.identity))

    def __init_subclass__(cls, **options: Any) -> None:
        """Refuse declarations that would have no effect."""
        declaration_checks.refuse_reserved_names(cls)
        declaration_checks.refuse_misspelt_options(cls)
        declaration_checks.refuse_invalid_table_name(cls)
        declaration_checks.refuse_invalid_table_arguments(cls)
        _refuse_second_declaration(cls)
        super().__init_subclass__(**options)

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        """Choose column types before SQLModel creates the columns, and attach field types that need the model."""
        super().__pydantic_init_subclass__(**options)
        declaration_checks.refuse_table_inheritance(cls)
        for name, relationship in cls.__sqlmodel_relationships__.items():
            if relationship.sa_relationship is None:
                arguments = {"comparator_factory": LiveRowComparator, **join_options(cls, name)}
                relationship.sa_relationship_kwargs = {**arguments, **(relationship.sa_relationship_kwargs or {})}
        for name, info in cls.model_fields.items():
            declaration_checks.set_options_of_field(cls, name, info)
            for attached in annotations_of(info, Attached):
                attached.attach(cls, name)


def _refuse_second_declaration(model: type[ModelBase]) -> None:
    """Refuse a table that another model declares, and name both modules. SQLAlchemy names only the second."""
    table = vars(model).get("__tablename__")
    if table not in model.metadata.tables:
        return
    same_table = [other for other in subclasses_of(ModelBase) if vars(other).get("__tablename__") == table]
    modules = dict.fromkeys(other.__module__ for other in (*same_table, model))
    verb = "declares" if len(modules) == 1 else "declare"
    raise OperatorError(f"{' and '.join(modules)} {verb} the table {table} twice. Rename one of them.")


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
def _settable_names(model: type[ModelBase]) -> frozenset[str]:
    """Return the names of the values that a new row accepts."""
    fields = model.model_fields
    aliases = {field.alias for field in fields.values() if field.alias}
    return frozenset(fields).union(aliases, model.__sqlmodel_relationships__, _computed_attributes(model))


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


def tables_with(mixin: type[T]) -> list[type[T]]:
    """Return the site's tables with a mixin, such as `SoftDelete`."""
    tables: set[Any] = {*ModelBase.metadata.tables.values()}
    return [class_ for class_ in dict.fromkeys(subclasses_of(mixin)) if vars(class_).get("__table__") in tables]


def subclasses_of(class_: type[T]) -> Iterator[type[T]]:
    for subclass in class_.__subclasses__():
        yield subclass
        yield from subclasses_of(subclass)
