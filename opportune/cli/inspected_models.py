"""Models of tables that are there, written by sqlacodegen in the house's style."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy
from sqlacodegen.generators import Base, SQLModelGenerator, TablesGenerator
from sqlacodegen.models import ColumnAttribute, Model, ModelClass
from sqlacodegen.utils import render_callable, uses_default_name
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    ClauseElement,
    Column,
    Connection,
    Constraint,
    Date,
    DateTime,
    DefaultClause,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlmodel import SQLModel

from opportune.db.model import NAMING_CONVENTION

OPTIONS = ("use_inflect", "nojoined", "nosyntheticenums", "nonativeenums")
CONVENTION = {kind: pattern for kind, pattern in NAMING_CONVENTION.items() if kind != "ck"}
"""Checks may have no name."""
TAKEN_BY_IMPORTS = {*dir(sqlalchemy), "Field", "Model", "ModelBase"}
TAKEN_IN_MODELS = {*dir(SQLModel), "conv", "datetime", "decimal", "text", "uuid"}
"""What a field of that name would hide from the fields after it."""


class HouseGenerator(SQLModelGenerator):
    """Writes `class Book(Model, table=True)` with plain fields; what those cannot say is an `sa_column`."""

    def __init__(self, metadata: MetaData, connection: Connection) -> None:
        super().__init__(metadata, connection, OPTIONS)
        self.is_sqlite = connection.dialect.name == "sqlite"
        columns = [column for table in metadata.tables.values() for column in table.columns]
        self.has_arrays = any(isinstance(column.type, ARRAY) for column in columns)

    def generate_base(self) -> None:
        self.base = Base(literal_imports=[], declarations=[], metadata_ref="ModelBase.metadata")

    def generate_models(self) -> list[Model]:
        """A class for each table, those between two others too, and no relationships: the owner knows which."""
        models: list[Model] = []
        taken = set(TAKEN_BY_IMPORTS)
        for table in self.metadata.sorted_tables:
            model = ModelClass(table)
            own = [column for column in table.columns if not (self._has_our_id(table) and column.name == "id")]
            model.columns = [ColumnAttribute(model, column) for column in own]
            self.generate_model_name(model, taken)
            taken.add(model.name)
            models.append(model)
        return models

    def generate_column_attr_name(
        self, column_attr: ColumnAttribute, global_names: set[str], local_names: set[str]
    ) -> None:
        column_attr.name = self.find_free_name(column_attr.column.name, TAKEN_IN_MODELS, local_names)

    def render_class_declaration(self, model: ModelClass) -> str:
        base = "Model" if self._has_our_id(model.table) else "ModelBase"
        self.add_literal_import("opportune.db", base)
        return f"class {model.name}({base}, table=True):"

    def render_class_variables(self, model: ModelClass) -> str:
        arguments = ",\n    ".join(self._table_arguments(model.table))
        return f"__tablename__ = {model.table.name!r}" + (f"\n__table_args__ = ({arguments},)" if arguments else "")

    def render_column_attribute(self, column_attr: ColumnAttribute) -> str:
        column = column_attr.column
        is_optional = column.nullable and not column.primary_key
        kwargs: dict[str, Any] = {"default": None} if is_optional or column is self._numbered(column) else {}
        plain = self._plain(column)
        if plain is None:
            self.collect_imports_for_column(column)
            kwargs["sa_column"] = self.render_column(column, show_name=True, is_table=True)
            annotation = self._annotation(column)
        else:
            annotation, more = plain
            kwargs |= more | self._common(column, column_attr.name)
        annotation += " | None" if is_optional else ""
        if not kwargs:
            return f"{column_attr.name}: {annotation}"
        if kwargs == {"default": None}:
            return f"{column_attr.name}: {annotation} = None"
        self.add_literal_import("sqlmodel", "Field")
        return f"{column_attr.name}: {annotation} = {render_callable('Field', kwargs=kwargs)}"

    def _annotation(self, column: Column[Any]) -> str:
        written = self.render_column_python_type(column)
        if column.nullable:
            written = written.removeprefix("Optional[").removesuffix("]")
            self.imports["typing"].discard("Optional")
        if written == "dict":  # of JSON, which may be anything
            written = "Any"
            self.imports["typing"].add("Any")
        if not self.imports["typing"]:
            del self.imports["typing"]
        return written

    def _plain(self, column: Column[Any]) -> tuple[str, dict[str, Any]] | None:  # noqa: PLR0911 - a line for each type
        """Annotation and options of a field whose column is the same; None where there is no such field."""
        kind = column.type
        default = column.server_default
        if default is not None and not isinstance(default, DefaultClause):  # computed, or an identity
            return None
        if isinstance(kind, Text) and type(kind) is Text:
            name = "AnyText" if self.has_arrays else "Text"  # whose type is SQLAlchemy's Text
            self.add_literal_import("opportune.fields", "Text as AnyText" if self.has_arrays else "Text")
            return name, {}
        if type(kind) is String and kind.length:
            return "str", {"max_length": kind.length}
        if type(kind) is Boolean:
            return "bool", {}
        if type(kind) is Date:
            self.add_module_import("datetime")
            return "datetime.date", {}
        if type(kind) is DateTime and (kind.timezone or self.is_sqlite):
            self.add_module_import("datetime")
            return "datetime.datetime", {}
        if type(kind) is Numeric and kind.precision and kind.scale is not None:
            self.add_module_import("decimal")
            return "decimal.Decimal", {"max_digits": kind.precision, "decimal_places": kind.scale}
        return self._whole_number(column)

    def _whole_number(self, column: Column[Any]) -> tuple[str, dict[str, Any]] | None:
        is_reference = bool(column.foreign_keys)
        if type(column.type) is Integer:
            if is_reference and not self.is_sqlite:  # else our own would have it as wide as our ids
                self.add_literal_import("sqlalchemy", "INTEGER")
                return "int", {"sa_type": "INTEGER"}
            return "int", {}
        if type(column.type) is BigInteger:
            if is_reference and not self.is_sqlite:
                return "int", {}
            self.add_literal_import("sqlalchemy", "BIGINT")
            return "int", {"sa_type": "BIGINT"}
        return None

    def _common(self, column: Column[Any], name: str) -> dict[str, Any]:
        kwargs: dict[str, Any] = {"primary_key": True} if column.primary_key else {}
        if key := _reference(column):
            kwargs["foreign_key"] = repr(key.elements[0].target_fullname)
            kwargs |= {"ondelete": repr(key.ondelete)} if key.ondelete else {}
        if any(_is_simple(each) and each.columns.keys() == [column.name] for each in _uniques(column.table)):
            kwargs["unique"] = True
        if any(_is_simple(each) and each.columns.keys() == [column.name] for each in column.table.indexes):
            kwargs["index"] = True
        more = {} if name == column.name else {"name": repr(column.name)}
        if column.server_default is not None and column is not self._numbered(column):
            self.add_literal_import("sqlalchemy", "text")
            words = str(getattr(column.server_default, "arg", ""))
            more["server_default"] = f"text({words!r})"
        if more:
            kwargs["sa_column_kwargs"] = "{" + ", ".join(f'"{key}": {value}' for key, value in more.items()) + "}"
        return kwargs

    def _table_arguments(self, table: Table) -> list[str]:
        constraints = sorted(table.constraints, key=lambda each: (type(each).__name__, str(each.name)))
        rendered = [self._constraint(each) for each in constraints]
        return [
            *filter(None, rendered),
            *(self._index(each) for each in sorted(table.indexes, key=_name) if not _is_simple(each)),
        ]

    def _constraint(self, constraint: Constraint) -> str:
        if isinstance(constraint, PrimaryKeyConstraint) or (
            isinstance(constraint, UniqueConstraint) and _is_simple(constraint)
        ):
            return ""
        if isinstance(constraint, ForeignKeyConstraint) and any(
            _reference(each) is constraint for each in constraint.columns
        ):
            return ""
        if isinstance(constraint, CheckConstraint):
            if not constraint.name:  # nobody could change it by name
                return ""
            self.add_literal_import("sqlalchemy", "CheckConstraint")
            self.add_literal_import("sqlalchemy.sql.elements", "conv")
            return f"CheckConstraint({str(constraint.sqltext)!r}, name=conv({str(constraint.name)!r}))"
        self.add_literal_import("sqlalchemy", type(constraint).__name__)
        return self.render_constraint(constraint)

    def _index(self, index: Index) -> str:
        self.add_literal_import("sqlalchemy", "Index")
        parts = [self._clause(each) for each in index.expressions]
        kwargs = {name: self._clause(value) for name, value in sorted(index.kwargs.items()) if _is_given(value)}
        for name in [name for name in kwargs if name.endswith("_where")]:
            self.add_literal_import("sqlalchemy", "text")
            kwargs[name] = f"text({str(index.kwargs[name])!r})"
        return render_callable(
            "Index", repr(index.name), *parts, kwargs=kwargs | ({"unique": True} if index.unique else {})
        )

    def _clause(self, value: Any) -> str:
        if isinstance(value, Column):
            return repr(value.name)
        if not isinstance(value, ClauseElement):
            return repr(value)
        self.add_literal_import("sqlalchemy", "text")
        return f"text({str(value)!r})"

    def _has_our_id(self, table: Table) -> bool:
        """Whether its key is the one of `Model`."""
        keys = list(table.primary_key)
        wanted = Integer if self.is_sqlite else BigInteger
        return [key.name for key in keys] == ["id"] and type(keys[0].type) is wanted and keys[0].identity is None

    def _numbered(self, column: Column[Any]) -> Column[Any] | None:
        """The column that the database numbers by itself."""
        return column.table.autoincrement_column if not column.foreign_keys else None


class ViewGenerator(TablesGenerator):
    """Writes tables that are only asked, in a MetaData of their own: no migration makes them."""

    def __init__(self, metadata: MetaData, connection: Connection) -> None:
        super().__init__(metadata, connection, ("nosyntheticenums", "nonativeenums"))

    def generate_model_name(self, model: Model, global_names: set[str]) -> None:
        model.name = self.find_free_name(model.table.name, global_names)


def model_code(connection: Connection, tables: Sequence[str]) -> str:
    metadata = MetaData(naming_convention=CONVENTION)
    metadata.reflect(connection, only=list(tables))
    for table in metadata.tables.values():
        for constraint in table.constraints:
            if isinstance(constraint, (ForeignKeyConstraint, PrimaryKeyConstraint)):
                constraint.name = None  # nobody compares them
    return HouseGenerator(metadata, connection).generate()


def view_code(connection: Connection, names: Sequence[str]) -> str:
    metadata = MetaData()
    for name in names:
        Table(name, metadata, autoload_with=connection, resolve_fks=False)
    return ViewGenerator(metadata, connection).generate()


def _reference(column: Column[Any]) -> ForeignKeyConstraint | None:
    """The foreign key of this column alone, if a field can say all of it."""
    keys = [each.constraint for each in column.foreign_keys if each.constraint is not None]
    if len(keys) != 1 or len(keys[0].columns) != 1:
        return None
    (key,) = keys
    return None if key.onupdate or key.deferrable or key.initially or key.match else key


def _uniques(table: Table) -> list[UniqueConstraint]:
    return [each for each in table.constraints if isinstance(each, UniqueConstraint)]


def _is_simple(part: UniqueConstraint | Index) -> bool:
    """Whether `unique=True` or `index=True` of a field makes the same."""
    is_plain = len(part.columns) == 1 and uses_default_name(part)
    if not isinstance(part, Index):
        return is_plain
    return is_plain and not part.unique and len(list(part.expressions)) == 1 and not any(part.kwargs.values())


def _name(index: Index) -> str:
    return str(index.name)


def _is_given(value: object) -> bool:
    """Also the condition of a partial index, of which nobody can ask whether it is true."""
    return isinstance(value, ClauseElement) or bool(value)
