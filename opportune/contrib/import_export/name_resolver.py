"""Ids of the related rows that a file names, and the new rows among them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request

from opportune.admin.authorization import may_list
from opportune.admin.forms.admin_form import AdminForm, keep_unsent, without_fields
from opportune.admin.forms.foreign_keys import LISTING_REQUIRED, MAX_IDS_PER_QUERY
from opportune.admin.row_writer import Change
from opportune.admin.views import AdminView, build_form_class, unwritable_columns
from opportune.contrib.import_export.named_columns import NamedColumn, key_text, with_names
from opportune.db.models.columns import python_type_of
from opportune.db.models.labels import title_of
from opportune.db.models.row_ids import MAX_ID
from opportune.db.queries.batches import batches_of
from opportune.errors import FieldErrors
from opportune.i18n import gettext, lower_name
from opportune.i18n import gettext_lazy as _l

MAX_TITLED_ROWS = 2_000
"""Rows of a model without a natural key that are searched for a title."""
AMBIGUOUS = _l("Several rows are named “%(name)s”. Use the column %(column)s with an id instead.")
MISSING_TITLE = _l("No %(model)s is named “%(name)s”.")
TOO_MANY_TITLES = _l("%(model)s has too many rows to find “%(name)s” by its title. Use its number.")
MAY_NOT_ADD = _l("“%(name)s” does not exist, and you may not add one.")
NAME_IS_NOT_ENOUGH = _l("“%(name)s” does not exist, and a name is not enough to create one.")
NEEDS_FIELDS = _l("“%(name)s” does not exist, and a new %(model)s needs more than a name: %(fields)s.")
CANNOT_BE_CREATED = _l("“%(name)s” does not exist and cannot be created: %(errors)s")


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
        if not await may_list(self.request, column.lookup.view):
            self._refuse(column, names, LISTING_REQUIRED)
            return
        if not column.key:
            await self._read_titles(column, names)
            return
        for batch in batches_of(names, MAX_IDS_PER_QUERY):
            statement = with_names(column.lookup.list_query(self.request), column.lookup.model, column.key, batch)
            for row in await column.lookup.model_admin.queries.objects(statement):
                ids.setdefault(key_text(getattr(row, column.key)), []).append(column.lookup.key_of(row))
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
        message = TOO_MANY_TITLES if len(rows) > MAX_TITLED_ROWS else MISSING_TITLE
        model = lookup.view.name if lookup.view else column.name
        self._refuse(column, [name for name in names if name not in ids], message, model=model)

    def ids(self, column: NamedColumn, names: Sequence[str]) -> list[Any]:
        """Return the ids or placeholders of these rows.

        Raises:
            ValueError: A name has no row or several. The message is for the user.
        """
        return [self._find_id(column, name) for name in names]

    def _find_id(self, column: NamedColumn, name: str) -> Any:
        ids = self._ids[column.name].get(name, [])
        if fault := self._faults.get((column.lookup.model, name)):
            raise ValueError(fault)
        if len(ids) > 1:
            raise ValueError(gettext(AMBIGUOUS, name=name, column=column.column))
        return ids[0] if ids else self.new_rows[column.lookup.model].placeholders[name]

    def _refuse(self, column: NamedColumn, names: Sequence[str], message: str, **values: object) -> None:
        faults = {name: gettext(message, name=name, **values) for name in names}
        self._faults |= {(column.lookup.model, name): fault for name, fault in faults.items()}

    async def _plan_new(self, column: NamedColumn, names: Sequence[str]) -> None:
        """Plan a new row for each name, or refuse the names if a name is not enough for a row."""
        request = self.request
        view = column.lookup.view
        if not (isinstance(view, AdminView) and view.is_accessible(request) and await view.check_can_create(request)):
            self._refuse(column, names, MAY_NOT_ADD)
            return
        form_class = await creation_form_class(request, view)
        form = form_class()
        if column.key not in form or python_type_of(view.pk_columns[0]) is not int:
            self._refuse(column, names, NAME_IS_NOT_ENOUGH)
            return
        unset = [field for field in form if field.flags.required and not field.data and field.name != column.key]
        if unset:
            labels = ", ".join(str(field.label.text) for field in unset)
            self._refuse(column, names, NEEDS_FIELDS, model=lower_name(view.name), fields=labels)
            return
        new_rows = self.new_rows.setdefault(column.lookup.model, NewRows(view, column.key))
        for name in names:
            if name not in new_rows.values:
                self._plan_row(column, new_rows, form_class, name)

    def _plan_row(self, column: NamedColumn, new_rows: NewRows, form_class: type[AdminForm], name: str) -> None:
        form = form_class(FormData([(column.key, name)]))
        keep_unsent(form, {column.key})
        try:
            new_rows.values[name] = new_rows.view.clean(form, None)
        except FieldErrors:
            errors = " ".join(str(error) for field in form for error in field.errors)
            self._refuse(column, [name], CANNOT_BE_CREATED, errors=errors)
        else:
            new_rows.placeholders[name] = self._next_placeholder
            self._next_placeholder -= 1


async def creation_form_class(request: Request, view: AdminView) -> type[AdminForm]:
    """Return the form for a new row, with only the fields that the user may set."""
    return without_fields(await build_form_class(request, view, creating=True), unwritable_columns(request, view, None))
