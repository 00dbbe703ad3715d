"""Columns of files that name related rows by their natural key: `author` holds a name, and `tags` a list of names."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Select, inspect

from opportune.admin.forms.foreign_keys import ForeignKeyLookup
from opportune.admin.views import AdminView
from opportune.contrib.import_export.name_lists import split_names
from opportune.db.migrations.value_conversion import CONVERSION_ERRORS, Family, convert, family_of
from opportune.db.models.columns import natural_key_of, python_type_of
from opportune.db.queries.paths import relation_of_column
from opportune.i18n import gettext
from opportune.schemas.text import UNSTORABLE


class NamedColumn(NamedTuple):
    """A column of a file with the natural keys of related rows."""

    name: str
    """The name of the relationship, which is the column's name in the file."""
    column: str
    """The name in the view, such as `author_id` for `author`."""
    lookup: ForeignKeyLookup
    key: str
    """The column of the related model that holds the names. If empty, rows are named by their titles."""
    is_many: bool

    def names_in(self, value: Any) -> list[str]:
        """Return the names in a cell of CSV or a JSON value.

        Raises:
            ValueError: The cell has another form. The message is for the user.
        """
        if value is None or value == "":
            return []
        names = split_names(value) if self.is_many and isinstance(value, str) else self._names_in_json(value)
        if any(map(UNSTORABLE.search, names)):
            raise ValueError("This text has characters that cannot be stored.")
        if self.key:
            names = [normal_name(self.lookup.model, self.key, name) for name in names]
        return list(dict.fromkeys(filter(None, names)))

    def _names_in_json(self, value: Any) -> list[str]:
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(item, str | int) and not isinstance(item, bool) for item in values):
            raise ValueError(gettext("Enter a list of names.") if self.is_many else gettext("Enter a name."))
        if len(values) > 1 and not self.is_many:
            raise ValueError(gettext("Enter one name."))
        return [str(item).strip() for item in values]

    def names_of(self, row: Any) -> list[str]:
        """Return the names of the related rows. The relationship must be loaded."""
        related = getattr(row, self.name)
        rows = related if self.is_many else [related]
        return sorted(str(getattr(row, self.key)) for row in rows if row is not None)


def named_columns(view: AdminView) -> dict[str, NamedColumn]:
    """Return the relationships of a view whose rows have a natural key, by their names in a file."""
    columns = [
        NamedColumn(relation_of_column(view.mapper, name), name, lookup, natural_key_of(lookup.model), is_many=False)
        for name, lookup in view.references.items()
        if lookup.has_numbers
    ]
    columns += [
        NamedColumn(name, name, lookup, natural_key_of(lookup.model), is_many=True)
        for name, lookup in view.many_to_many.items()
    ]
    return {column.name: column for column in columns if column.name and column.key}


def importable_names(view: AdminView) -> list[NamedColumn]:
    """Return the columns in which a file may name related rows. Without a natural key, rows have their titles."""
    named = named_columns(view)
    columns = {column.column for column in named.values()}
    titled = []
    for column, lookup in view.references.items():
        name = relation_of_column(view.mapper, column) or column.removesuffix("_id")
        if lookup.has_numbers and column not in columns and name not in view.mapper.columns:
            titled.append(NamedColumn(name, column, lookup, "", is_many=False))
    return [*named.values(), *titled]


def with_names(rows: Select[Any], model: type[Any], key: str, names: Sequence[str]) -> Select[Any]:
    """Select the rows whose natural key is one of these names."""
    values = [value for name in names if (value := _key_value(model, key, name)) is not None]
    return rows.where(getattr(model, key).in_(values))


def normal_name(model: type[Any], key: str, name: str) -> str:
    """Return a name as the row has it: a spreadsheet may write the number 7 as 007."""
    value = _key_value(model, key, name)
    return name if value is None else key_text(value)


def key_text(value: Any) -> str:
    """Return a natural key as text: 1.50 and 1.5 are the same."""
    text = f"{value:f}" if isinstance(value, Decimal) else str(value)
    return text.rstrip("0").rstrip(".") if isinstance(value, Decimal) and "." in text else text


def _key_value(model: type[Any], key: str, name: str) -> Any:
    """Return a name as a value of the natural key; None if no row can have it."""
    column = inspect(model).columns[key]
    family = family_of(column.type)
    try:
        if family in (None, Family.TEXT):
            return python_type_of(column)(name)
        return convert(re.sub(r"\.0*$", "", name) if family is Family.INTEGER else name, column.type)
    except CONVERSION_ERRORS:
        return None
