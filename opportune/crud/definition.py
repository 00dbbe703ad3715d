"""The options of one `Crud` class after validation, and the schemas, filters and serializers derived from them."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import Any

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Label, Select
from sqlalchemy import cast as convert
from sqlalchemy.types import Float, NullType

from opportune.crud.declaration import Declaration, require_integer_id, shape_of
from opportune.crud.field_rules import NO_FIELDS, FieldRules
from opportune.crud.filters import derive_filters, filter_aliases, filter_methods_of, method_field
from opportune.crud.option_checks import check_options, check_write_schemas
from opportune.crud.options import CrudOptions, Permission
from opportune.crud.query_schema import make_filter_schema
from opportune.crud.registry import TeamOwners, takes_model_name, team_owners
from opportune.crud.schema_fields import SchemaOptions, check_fields
from opportune.crud.schemas import create_schema, read_schema, refuse_fields, update_schema
from opportune.crud.serializer import ModelSerializer, SchemaSerializer, Serializer
from opportune.db.models.soft_delete import SoftDelete
from opportune.db.models.translated import is_translated
from opportune.pagination import Paging

QUERY_METHODS = ("readable", "conditions", "query", "column", "visible", "ordering", "default_order", "hidden_fields")
"""Methods that a list calls to build its statement. If none is overridden, all users share the built statement."""


class Definition:
    """Options of one `Crud` class.

    Args:
        crud_class: The class.
        overridden: Methods of `Crud` that it overrides.
    """

    def __init__(self, crud_class: type[CrudOptions], overridden: AbstractSet[str]) -> None:
        require_integer_id(crud_class.__name__, crud_class.model)
        self.crud_class = crud_class
        self.owners = frozenset(name for name in (crud_class.owner_column, crud_class.team_column) if name)
        """The columns that the data layer sets to the owner of a new row."""
        default_permission = Permission.OWNER if self.owners else Permission.PERMITTED
        self.read_permission = crud_class.read_permission or default_permission
        self.write_permission = crud_class.write_permission or default_permission
        self.shares_statement = not self._depends_on_user and overridden.isdisjoint(QUERY_METHODS)
        """Whether lists without filters have the same statement for all users, with the owner as a parameter."""
        self.list_statements: dict[tuple[str, str, Sequence[str]], Any] = {}
        self.shape = shape_of(crud_class.model)
        self.has_trash = issubclass(crud_class.model, SoftDelete)
        self.annotations = {name: _label_annotation(name, value) for name, value in crud_class.annotations.items()}
        self.filter_methods = filter_methods_of(crud_class)
        declaration = Declaration(crud_class.__name__, self.shape, self.annotations)
        self.field_rules = FieldRules(crud_class, declaration, self.annotations, self.filter_methods, overridden)
        self._serializers: dict[frozenset[str], Serializer] = {}
        self._schemas_without_locked: dict[tuple[type[BaseModel], frozenset[str]], type[BaseModel]] = {}
        self.options = SchemaOptions(
            crud_class,
            self.owners,
            annotations={name: label.type.python_type for name, label in self.annotations.items()},
            required={"id", crud_class.lookup} if self.field_rules.hides else None,
        )
        check_fields(declaration, self.options)
        check_options(declaration, crud_class, self.team)
        if "assign" not in overridden:
            check_write_schemas(declaration, crud_class)
        self.filters = derive_filters(declaration, crud_class.filters)
        self.filter_fields = {name: filter_.as_pydantic_field for name, filter_ in self.filters.items()} | {
            name: method_field(declaration, name, method) for name, method in self.filter_methods.items()
        }
        if schema := crud_class.filter_schema:
            for name in schema.model_fields.keys() - Paging.model_fields.keys() - {"q"}:
                declaration.require_one_of("filter_schema", name, self.filter_fields, noun=crud_class.__name__)

    @property
    def _depends_on_user(self) -> bool:
        """Whether the statement of a list differs between users in more than the id of the owner."""
        crud_class = self.crud_class
        has_two_owners = crud_class.owner_column is not None and crud_class.team_column is not None
        reads_related_rows = bool(crud_class.nested) or any(
            "." in path for path in (*crud_class.sort, *crud_class.order)
        )
        return has_two_owners or reads_related_rows or self.read_permission is Permission.OWNER_OR_PERMITTED

    @property
    def team(self) -> TeamOwners | None:
        """The model of teams that can own the rows, or None if rows only belong to users or have no owner."""
        column = self.crud_class.team_column
        team_model = self.shape.references.get(column) if column else None
        return team_owners.get(team_model) if team_model else None

    @cached_property
    def belongs_to_team(self) -> bool:
        """Whether every row belongs to a team."""
        return self.crud_class.team_column is not None and self.crud_class.owner_column is None

    @cached_property
    def prefix(self) -> str:
        """The prefix of the names of the schemas."""
        crud_class = self.crud_class
        return crud_class.model.__name__ if takes_model_name(crud_class) else crud_class.__name__

    @cached_property
    def create_schema(self) -> type[BaseModel]:
        return self.crud_class.create_schema or create_schema(self.prefix, self.shape, self.options)

    @cached_property
    def update_schema(self) -> type[BaseModel]:
        return self.crud_class.update_schema or update_schema(self.prefix, self.shape, self.options)

    @cached_property
    def read_schema(self) -> type[BaseModel]:
        return self.crud_class.read_schema or read_schema(self.prefix, self.shape, self.options)

    @cached_property
    def filter_schema(self) -> type[Paging]:
        if self.crud_class.filter_schema:
            return self.crud_class.filter_schema
        schema = make_filter_schema(self.prefix, self.filter_fields, self.crud_class, is_translated=self.is_translated)
        schema.aliases = filter_aliases(self.shape, self.filters, schema.model_fields.keys())
        return schema

    @cached_property
    def is_translated(self) -> bool:
        """Whether the model has translated fields."""
        return any(map(is_translated, self.shape.columns.values()))

    @cached_property
    def nests_translations(self) -> bool:
        """Whether responses contain translated fields of related rows, which always have one language."""
        related = (self.shape.mapper.relationships[name].mapper for name in self.crud_class.nested)
        return any(is_translated(column) for mapper in related for column in mapper.columns)

    @property
    def serializer(self) -> Serializer:
        """The serializer for users who may see all fields."""
        return self.serializer_without(NO_FIELDS)

    def serializer_without(self, hidden: frozenset[str]) -> Serializer:
        """Return the cached serializer for users who may not see these fields."""
        if hidden not in self._serializers:
            self._serializers[hidden] = self._create_serializer(hidden)
        return self._serializers[hidden]

    def _create_serializer(self, hidden: frozenset[str]) -> Serializer:
        fields = self.read_schema.model_fields
        nested = self.crud_class.nested
        if self.crud_class.read_schema is None:
            visible = {name: info for name, info in fields.items() if name not in hidden}
            return ModelSerializer(visible, self.shape, nested)
        objects = [name for name in nested if name in self.shape.to_one]
        selectable = {*self.shape.columns, *self.shape.links, *self.annotations, *objects}
        return SchemaSerializer(self.read_schema, hidden, selectable)

    def unlocked(self, schema: type[BaseModel], locked: frozenset[str]) -> type[BaseModel]:
        """Return the schema for users who may not write these fields, which it refuses."""
        if not locked:
            return schema
        key = (schema, locked.intersection(schema.model_fields))
        if key not in self._schemas_without_locked:
            self._schemas_without_locked[key] = refuse_fields(*key)
        return self._schemas_without_locked[key]


def _label_annotation(name: str, value: Any) -> Label[Any]:
    """Return a computed value as a labelled column. If the type is unknown, as for averages, it is a float."""
    computed: ColumnElement[Any] = value.scalar_subquery() if isinstance(value, Select) else value
    return (convert(computed, Float) if isinstance(computed.type, NullType) else computed).label(name)
