"""Types of columns as code, for models and for views."""

from typing import Any

from sqlacodegen.generators import TablesGenerator
from sqlalchemy import ARRAY, CheckConstraint, Column, Enum, Table
from sqlalchemy.dialects.postgresql import JSONB

from opportune.contrib.inspectdb.types import database_variant
from opportune.db.models.native_type import NativeType


class TypeWriter(TablesGenerator):
    """Writes types that sqlacodegen does not support, or writes in a form that migrations cannot use."""

    def fix_column_types(self, table: Table) -> None:
        """Derive no types from checks. For `CHECK (a IN (0, 1))` sqlacodegen writes `bool`, and removes the check."""
        checks = {item for item in table.constraints if isinstance(item, CheckConstraint)}
        table.constraints -= checks
        super().fix_column_types(table)
        table.constraints |= checks

    def render_column_type(self, column: Column[Any]) -> str:
        if isinstance(column.type, NativeType):
            return repr(column.type)
        if result := database_variant(column.type):
            database, variant_type = result
            self.add_import(variant_type)
            name = super().render_column_type(column).removesuffix("()")
            name = name if name.endswith(")") else f"{name}()"
            code = "JSONB()" if isinstance(variant_type, JSONB) else repr(variant_type)
            return f'{name}.with_variant({code}, "{database}")'
        if isinstance(column.type, ARRAY) and isinstance(column.type.item_type, Enum):
            enum = column.type.item_type
            # sqlalchemy.Enum creates its type in the database
            return f"ARRAY({Enum(*enum.enums, name=enum.name, schema=enum.schema)!r})"
        return super().render_column_type(column)

    def add_import(self, obj: Any) -> None:
        if isinstance(obj, NativeType):
            self.add_literal_import("opportune.db", "NativeType")
        else:
            super().add_import(obj)
