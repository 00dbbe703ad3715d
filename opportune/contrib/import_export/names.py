"""Related rows in files are named by their natural key: `author` holds a name, and `tags` a list of names.

In CSV, `|` separates the names of a list. A backslash precedes a `|` or a backslash in a name.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, inspect
from starlette.datastructures import FormData
from starlette.requests import Request

from opportune.admin.authorization import may_see_titles
from opportune.admin.base import BaseAdminView
from opportune.admin.forms.admin_form import AdminForm, keep_unsent, without_fields
from opportune.admin.forms.foreign_keys import LISTING_REQUIRED, MAX_IDS_PER_QUERY, ForeignKeyLookup
from opportune.admin.row_writer import Change
from opportune.admin.views import AdminView, build_form_class, unwritable_columns
from opportune.db.models.columns import natural_key_of, python_type_of
from opportune.db.models.labels import title_of
from opportune.db.models.row_ids import MAX_ID
from opportune.db.queries.batches import batches_of
from opportune.db.queries.paths import relation_of_column
from opportune.errors import FieldErrors
from opportune.i18n import gettext, lower_name
from opportune.i18n import gettext_lazy as _l

SEPARATOR = "|"
MAX_TITLED_ROWS = 2_000
"""Rows of a model without a natural key that are searched for a title."""
AMBIGUOUS = _l("Several rows are named “%(name)s”. Use the column %(column)s with an id instead.")
CANNOT_BE_CREATED = _l("“%(name)s” does not exist and cannot be created: %(errors)s")
NEEDS_FIELDS = _l("“%(name)s” does not exist, and a new %(model)s needs more than a name: %(fields)s.")
NAME = "\0"
"""Stands for the name in messages about all new rows of a model."""
NAME_IN_LIST = re.compile(r"(?:\\.|[^|\\]|\\$)*", re.DOTALL)


def join_names(names: Iterable[str]) -> str:
    """Join names for one cell of CSV."""
    return SEPARATOR.join(re.sub(r"([\\|])", r"\\\1", name) for name in names)


def split_names(cell: str) -> list[str]:
    """Split a cell of CSV into names."""
    parts = [part[0] for part in NAME_IN_LIST.finditer(cell)]
    return [re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL).strip() for part in parts if part.strip()]


@dataclass(frozen=True)
class NamedColumn:
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
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(item, str | int) and not isinstance(item, bool) for item in values):
            raise ValueError(gettext("Enter a list of names.") if self.is_many else gettext("Enter a name."))
        if len(values) > 1 and not self.is_many:
            raise ValueError(gettext("Enter one name."))
        is_list_of_csv = self.is_many and isinstance(value, str)
        names = split_names(value) if is_list_of_csv else [str(item).strip() for item in values]
        return list(dict.fromkeys(filter(None, names)))

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


@dataclass
class NewRows:
    """Rows of one model that a file names and that do not exist yet. Each has a placeholder until it has an id."""

    view: AdminView
    key: str
    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The values to store, by name of the row."""
    placeholders: dict[str, int] = field(default_factory=dict)
    created: Sequence[Change] = ()
    """The created rows, in the order of `placeholders`."""


class NameResolver:
    """Finds the ids of the rows that a file names, with a few queries for the whole file."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.new_rows: dict[type[Any], NewRows] = {}
        self._ids: dict[str, dict[str, list[Any]]] = {}
        self._faults: dict[tuple[type[Any], str], str] = {}
        self._next_placeholder = MAX_ID

    async def read(self, column: NamedColumn, names: Sequence[str]) -> None:
        """Load the rows with these names, and plan new rows for names that do not exist."""
        ids = self._ids.setdefault(column.name, {})
        if not await may_see_titles(self.request, column.lookup.view):
            self._faults |= {(column.lookup.model, name): LISTING_REQUIRED for name in names}
            return
        if not column.key:
            await self._read_titles(column, names)
            return
        for batch in batches_of(names, MAX_IDS_PER_QUERY):
            statement = with_names(column.lookup.list_query(self.request), column.lookup.model, column.key, batch)
            for row in await column.lookup.model_admin.queries.objects(statement):
                ids.setdefault(str(getattr(row, column.key)), []).append(column.lookup.key_of(row))
        missing = [name for name in names if name not in ids]
        if missing:
            await self._plan_new(column, missing)

    async def _read_titles(self, column: NamedColumn, names: Sequence[str]) -> None:
        """Find rows by their titles, which Python computes, so all rows are read."""
        ids = self._ids[column.name]
        lookup = column.lookup
        rows = await lookup.titled_rows(self.request, MAX_TITLED_ROWS + 1) if names else ()
        for row in rows:
            ids.setdefault(str(title_of(row)), []).append(lookup.key_of(row))
        missing = _l("No %(model)s is named “%(name)s”.")
        if len(rows) > MAX_TITLED_ROWS:
            missing = _l("%(model)s has too many rows to find “%(name)s” by its title. Use its number.")
        model = lookup.view.name if lookup.view else column.name
        faults = {name: gettext(missing, model=model, name=name) for name in names if name not in ids}
        self._faults |= {(lookup.model, name): fault for name, fault in faults.items()}

    def ids(self, column: NamedColumn, names: Sequence[str]) -> list[Any]:
        """Return the ids or placeholders of these rows.

        Raises:
            ValueError: A name has no row or several. The message is for the user.
        """
        return [self._find_id(column, name) for name in names]

    def _find_id(self, column: NamedColumn, name: str) -> Any:
        model = column.lookup.model
        ids = self._ids[column.name].get(name, [])
        if fault := self._faults.get((model, name)):
            raise ValueError(fault)
        if len(ids) > 1:
            raise ValueError(gettext(AMBIGUOUS, name=name, column=column.column))
        return ids[0] if ids else self.new_rows[model].placeholders[name]

    async def _plan_new(self, column: NamedColumn, names: Sequence[str]) -> None:
        model = column.lookup.model
        view = column.lookup.view
        problem = await self._creation_problem(view, column.key)
        if problem is not None:
            self._faults |= {(model, name): problem.replace(NAME, name) for name in names}
            return
        assert isinstance(view, AdminView)
        form_class = await creation_form_class(self.request, view)
        new_rows = self.new_rows.setdefault(model, NewRows(view, column.key))
        for name in names:
            if name in new_rows.values:
                continue
            form = form_class(FormData([(column.key, name)]))
            keep_unsent(form, {column.key})
            try:
                new_rows.values[name] = view.clean(form, None)
            except FieldErrors:
                errors = " ".join(str(error) for field in form for error in field.errors)
                self._faults[model, name] = gettext(CANNOT_BE_CREATED, name=name, errors=errors)
            else:
                new_rows.placeholders[name] = self._next_placeholder
                self._next_placeholder -= 1

    async def _creation_problem(self, view: BaseAdminView | None, key: str) -> str | None:
        """Return why a row cannot be created from its name, with `NAME` for the name; None if it can."""
        request = self.request
        if not (isinstance(view, AdminView) and view.is_accessible(request) and await view.check_can_create(request)):
            return gettext("“%(name)s” does not exist, and you may not add one.", name=NAME)
        form = (await creation_form_class(request, view))()
        if key not in form or python_type_of(view.pk_columns[0]) is not int:
            return gettext("“%(name)s” does not exist, and a name is not enough to create one.", name=NAME)
        unset = [field for field in form if field.flags.required and not field.data and field.name != key]
        required = ", ".join(str(field.label.text) for field in unset)
        return gettext(NEEDS_FIELDS, name=NAME, model=lower_name(view.name), fields=required) if required else None


async def creation_form_class(request: Request, view: AdminView) -> type[AdminForm]:
    """Return the form for a new row, with only the fields that the user may set."""
    return without_fields(await build_form_class(request, view, creating=True), unwritable_columns(request, view, None))


def with_names(rows: Select[Any], model: type[Any], key: str, names: Sequence[str]) -> Select[Any]:
    """Select the rows whose natural key is one of these names."""
    type_ = python_type_of(inspect(model).columns[key])
    values = []
    for name in names:
        try:
            values.append(type_(name))
        except (ValueError, TypeError, ArithmeticError):
            continue  # no row has this name
    return rows.where(getattr(model, key).in_(values))
