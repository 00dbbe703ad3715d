"""Generation of models for existing tables with sqlacodegen, in the project's style."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlacodegen.generators import Base, SQLModelGenerator
from sqlacodegen.models import ColumnAttribute, Model, ModelClass
from sqlacodegen.utils import render_callable

from opportune.contrib.inspectdb import types as column_types
from opportune.contrib.inspectdb.table_arguments import is_field_option, plain_foreign_key, table_arguments
from opportune.db.migrations.create_statements import escape_parameters

GENERATOR_OPTIONS = ("use_inflect", "nojoined", "nosyntheticenums", "nonativeenums")
IMPORTED_NAMES = {*dir(sa), "Any", "AnyText", "Field", "Model", "ModelBase", "NativeType"}


class ModelGenerator(column_types.TypeWriter, SQLModelGenerator):
    """Writes classes such as `class Book(Model, table=True)`, with `sa_column` where plain fields are not enough."""

    def __init__(self, metadata: sa.MetaData, connection: sa.Connection) -> None:
        super().__init__(metadata, connection, GENERATOR_OPTIONS)
        self.is_sqlite = connection.dialect.name == "sqlite"
        columns = [column for table in metadata.tables.values() for column in table.columns]
        self.imports_sql_text = any(isinstance(column.type, sa.ARRAY) or _has_collation(column) for column in columns)

    # Methods that sqlacodegen calls

    def generate_base(self) -> None:
        self.base = Base(literal_imports=[], declarations=[], metadata_ref="ModelBase.metadata")

    def generate_models(self) -> list[Model]:
        """Create a class for each table. Users add relationships themselves."""
        models: list[Model] = []
        used_names = set(IMPORTED_NAMES)
        for table in self.metadata.sorted_tables:
            model = ModelClass(table)
            inherited = {"id"} if self._has_id_of_model(table) else set()
            columns = [column for column in table.columns if column.name not in inherited]
            model.columns = [ColumnAttribute(model, column) for column in columns]
            self.generate_model_name(model, used_names)
            used_names.add(model.name)
            models.append(model)
        return models

    def generate_model_name(self, model: Model, global_names: set[str]) -> None:
        table_name = model.table.name
        model.table.name = column_types.class_words(table_name)
        try:
            super().generate_model_name(model, set())
        finally:
            model.table.name = table_name
        while model.name in global_names:
            model.name += "Row"

    def generate_column_attr_name(
        self, column_attr: ColumnAttribute, global_names: set[str], local_names: set[str]
    ) -> None:
        column_attr.name = self.find_free_name(
            column_types.field_name(column_attr.column.name), column_types.RESERVED_NAMES, local_names
        )

    def render_class_declaration(self, model: ModelClass) -> str:
        base = "Model" if self._has_id_of_model(model.table) else "ModelBase"
        self.add_literal_import("opportune.db", base)
        return f"class {model.name}({base}, table=True):"

    def render_class_variables(self, model: ModelClass) -> str:
        plain_columns = {column for column in model.table.columns if self._plain_field(column) is not None}
        arguments, names = table_arguments(model.table, plain_columns)
        for package, name in names:
            self.add_literal_import(package, name)
        lines = [f"__tablename__ = {model.table.name!r}"]
        if arguments:
            lines.append(f"__table_args__ = ({', '.join(arguments)},)")
        return "\n".join(lines)

    def render_column_attribute(self, column_attr: ColumnAttribute) -> str:
        column = column_attr.column
        is_optional = column.nullable and not column.primary_key
        is_filled_by_database = column is column.table.autoincrement_column and not column.foreign_keys
        kwargs: dict[str, Any] = {"default": None} if is_optional or is_filled_by_database else {}
        plain_field = self._plain_field(column)
        if plain_field is None:
            annotation = self._annotation(column)
            kwargs["sa_column"] = self._sa_column(column)
        else:
            annotation, options = plain_field
            kwargs |= options | self._field_options(column, column_attr.name)
        if is_optional and annotation != "Any":
            annotation += " | None"
        if not kwargs:
            return f"{column_attr.name}: {annotation}"
        if kwargs == {"default": None}:
            return f"{column_attr.name}: {annotation} = None"
        self.add_literal_import("sqlmodel", "Field")
        return f"{column_attr.name}: {annotation} = {render_callable('Field', kwargs=kwargs)}"

    # Code of a field

    def _sa_column(self, column: sa.Column[Any]) -> str:
        autoincrement_column = column.table.autoincrement_column
        column.default = None  # the sequence of a key, which a new table creates
        column.foreign_keys.clear()  # they are in __table_args__, and sqlacodegen would omit the type
        self.collect_imports_for_column(column)
        rendered = self.render_column(column, show_name=True, is_table=True)
        if self._has_manual_numbers(column, autoincrement_column):
            rendered = f"{rendered.removesuffix(')')}, autoincrement=False)"
        return rendered

    def _annotation(self, column: sa.Column[Any]) -> str:
        type_ = column.type.item_type if isinstance(column.type, sa.ARRAY) else column.type
        python_type = column_types.value_type(column if type_ is column.type else sa.Column(type_))
        if python_type is None:
            self.add_literal_import("typing", "Any")
            return "Any"
        name = self._imported(python_type)
        return f"list[{name}]" if isinstance(column.type, sa.ARRAY) else name

    def _imported(self, type_: type) -> str:
        """Return the name of a type with its module, which is imported."""
        if type_.__module__ == "builtins":
            return type_.__name__
        self.add_module_import(type_.__module__)
        return f"{type_.__module__}.{type_.__name__}"

    def _plain_field(self, column: sa.Column[Any]) -> tuple[str, dict[str, Any]] | None:
        """Return the annotation and the options of a plain field; None if the column needs `sa_column`."""
        default = column.server_default
        is_generated = default is not None and not isinstance(default, sa.DefaultClause)  # computed, or an identity
        if is_generated or _has_collation(column) or column_types.database_variant(column.type):
            return None
        if type(column.type) is not sa.Text:
            return self._field_of_type(column)
        self.add_literal_import("opportune.fields", "Text as AnyText" if self.imports_sql_text else "Text")
        return "AnyText" if self.imports_sql_text else "Text", {}

    def _field_of_type(self, column: sa.Column[Any]) -> tuple[str, dict[str, Any]] | None:
        type_ = column.type
        if type(type_) is sa.String and type_.length:
            return "str", {"max_length": type_.length}
        if type(type_) is sa.Boolean:
            return "bool", {}
        if type(type_) is sa.Date:
            return self._imported(date), {}
        if type(type_) is sa.DateTime and (type_.timezone or self.is_sqlite):
            return self._imported(datetime), {}
        if type(type_) is sa.Numeric and type_.precision and type_.scale is not None:
            return self._imported(Decimal), {"max_digits": type_.precision, "decimal_places": type_.scale}
        return self._integer_field(column)

    def _integer_field(self, column: sa.Column[Any]) -> tuple[str, dict[str, Any]] | None:
        names: dict[type[Any], str] = {sa.Integer: "INTEGER", sa.BigInteger: "BIGINT"}
        name = names.get(type(column.type))
        if name is None:
            return None
        is_big = bool(column.foreign_keys) and not self.is_sqlite  # without sa_type, `Model` makes references BIGINT
        if name == ("BIGINT" if is_big else "INTEGER"):
            return "int", {}
        self.add_literal_import("sqlalchemy", name)
        return "int", {"sa_type": name}

    def _field_options(self, column: sa.Column[Any], name: str) -> dict[str, Any]:
        """Return the options of a plain field that do not depend on its type."""
        kwargs: dict[str, Any] = {"primary_key": True} if column.primary_key else {}
        if key := plain_foreign_key(column):
            kwargs["foreign_key"] = repr(key.elements[0].target_fullname)
            if key.ondelete:
                kwargs["ondelete"] = repr(key.ondelete)
        unique = [item for item in column.table.constraints if isinstance(item, sa.UniqueConstraint)]
        for option, items in (("unique", unique), ("index", column.table.indexes)):
            if any(is_field_option(item) and item.columns.keys() == [column.name] for item in items):
                kwargs[option] = True
        if options := self._column_options(column, name):
            entries = ", ".join(f'"{option}": {code}' for option, code in options.items())
            kwargs["sa_column_kwargs"] = f"{{{entries}}}"
        return kwargs

    def _column_options(self, column: sa.Column[Any], name: str) -> dict[str, str]:
        options = {} if name == column.name else {"name": repr(column.name)}
        autoincrement_column = column.table.autoincrement_column
        if column.server_default is not None and not (column is autoincrement_column and self.is_sqlite):
            self.add_literal_import("sqlalchemy", "text")
            expression = escape_parameters(str(getattr(column.server_default, "arg", "")))
            options["server_default"] = f"text({expression!r})"
        if self._has_manual_numbers(column, autoincrement_column):
            options["autoincrement"] = "False"
        elif column.primary_key and len(column.table.primary_key) > 1 and column is autoincrement_column:
            options["autoincrement"] = "True"
        if column.comment:
            options["comment"] = repr(column.comment)
        return options

    def _has_id_of_model(self, table: sa.Table) -> bool:
        """Return True if `Model` defines the same primary key."""
        keys = list(table.primary_key)
        if [key.name for key in keys] != ["id"] or keys[0].identity is not None:
            return False
        if self.is_sqlite:
            return type(keys[0].type) is sa.Integer
        return type(keys[0].type) is sa.BigInteger and keys[0] is table.autoincrement_column and not keys[0].comment

    def _has_manual_numbers(self, column: sa.Column[Any], autoincrement_column: sa.Column[Any] | None) -> bool:
        """Return True if SQLAlchemy would generate a key that the database does not generate."""
        is_number = column.primary_key and isinstance(column.type, sa.Integer) and len(column.table.primary_key) == 1
        return is_number and autoincrement_column is None and not self.is_sqlite


def _has_collation(column: sa.Column[Any]) -> bool:
    return bool(getattr(column.type, "collation", None))
