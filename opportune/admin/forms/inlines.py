"""Rows of another model, edited in the form of the row they refer to and saved in the same transaction."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqladmin.authorization import Action
from sqladmin.helpers import get_object_identifier
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import FormData
from starlette.requests import Request

from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.admin_form import AdminForm, add_refusal
from opportune.admin.forms.fieldsets import without_fields
from opportune.admin.forms.files import FileField
from opportune.admin.protocols import View
from opportune.db.constraint_errors import translate_database_errors
from opportune.db.queries.paths import loading_options
from opportune.errors import FieldErrors

MAX_INLINE_ROWS = 50
"""Maximum rows in a form. The form of a parent with more rows has no inline table."""
INLINES_KEY = "(inlines)"
"""Key of the tables among the values of a form. No column has this name."""
INVALID_ROWS = "Please correct the rows below."
ROW_IS_GONE = "Another user has deleted or moved this row."


@dataclass(frozen=True)
class Inline:
    """Rows of another model in a form. The view of that model defines the rules and permissions.

    inlines = (Inline(Seat, "event_id", ("name", "price")),)
    """

    model: type[Any]
    by: str
    """Foreign key column that refers to the row of the form."""
    columns: Sequence[str]
    """Columns to edit, including all columns that a new row requires."""
    extra: int = 2
    """Number of empty lines for new rows."""


@dataclass
class InlineRow:
    row: Any
    """The stored row; None for a new row."""
    form: AdminForm
    stored: Mapping[str, Any] = field(default_factory=dict)
    """Initial values of the fields."""
    shown: Collection[str] = ()
    """Columns that the user may see."""
    is_submitted: bool = False
    """Whether the submitted page had this row."""
    is_deleted: bool = False
    values: dict[str, Any] = field(default_factory=dict)
    """Values to store."""
    saved_row: Any = None
    """The row that was added, changed or deleted."""
    error: str = ""

    @property
    def is_faulty(self) -> bool:
        return bool(self.error or self.form.errors)

    @property
    def is_blank(self) -> bool:
        """Whether this is a line for a new row that the user has not filled in."""
        has_upload = any(isinstance(field, FileField) and field.upload for field in self.form)
        return self.row is None and not has_upload and _form_texts(self.form) == _form_texts(type(self.form)())

    def refuse(self, refusal: FieldErrors) -> None:
        self.error = add_refusal(self.form, refusal)


@dataclass
class InlineTable:
    """A table below a form, with a line for each row of one model."""

    inline: Inline
    view: View
    lines: list[InlineRow]
    may_delete: bool

    @property
    def columns(self) -> Sequence[str]:
        return inline_columns(self.inline, self.view)

    @property
    def by(self) -> str:
        return self.view.name_of(self.inline.by)

    def clean(self) -> bool:
        """Validate all lines and set their values. Return whether all are valid."""
        for line in self.lines:
            try:
                is_filled_in = line.is_submitted and not line.is_deleted and not line.is_blank
                line.values = self._changed_values(line) if is_filled_in else {}
            except FieldErrors as refusal:
                line.refuse(refusal)
        return not any(line.is_faulty for line in self.lines)

    def _changed_values(self, line: InlineRow) -> dict[str, Any]:
        values = self.view.clean(line.form, line.row)
        if line.row is None:
            return values
        return {name: value for name, value in values.items() if differs(line.stored.get(name), value)}


def inline_columns(inline: Inline, view: View) -> Sequence[str]:
    return [name for name in map(view.name_of, inline.columns) if not view.hides(name)]


def inline_file_fields(parent: View) -> dict[str, int]:
    """Return patterns for the names of file fields, each with the maximum number of files in a form."""
    views = [(inline, parent.site.view_for_model(inline.model)) for inline in parent.inlines]
    return {
        rf"{re.escape(view.identity)}-[\w;]+-{re.escape(name)}": MAX_INLINE_ROWS + inline.extra
        for inline, view in views
        if view
        for name in view.files.keys() & set(inline_columns(inline, view))
    }


async def inline_tables(
    request: Request, parent: View, row: Any, form_data: FormData | None = None
) -> Sequence[InlineTable]:
    """Return the tables that the user may edit, filled from the database or the form. `row` is None for a new row."""
    views = [(inline, parent.site.view_for_model(inline.model)) for inline in parent.inlines]
    editable = [(inline, view) for inline, view in views if _may_edit(request, inline, view)]
    tables = [await _build_table(request, inline, view, row, form_data) for inline, view in editable]
    return [table for table in tables if table]


def _may_edit(request: Request, inline: Inline, view: Any) -> bool:
    if view is None or view.hides(view.name_of(inline.by)):
        return False
    return bool(view.is_accessible(request) and view.can_edit and view.has_permission(request, Action.EDIT))


async def _build_table(
    request: Request, inline: Inline, view: Any, parent: Any, form_data: FormData | None
) -> InlineTable | None:
    rows = await _load_rows(request, inline, view, parent) if parent is not None else []
    if len(rows) > MAX_INLINE_ROWS:
        return None
    may_delete = view.can_delete and view.has_permission(request, Action.DELETE)
    form_class = await view.form_class(request, creating=False)
    await _load_references(request, inline, view, rows)
    lines = [
        await _build_line(request, inline, view, form_class, row, get_object_identifier(row), form_data) for row in rows
    ]
    if await view.check_can_create(request):
        form_class = await view.form_class(request, creating=True)
        new_keys = [f"new{number}" for number in range(inline.extra)]
        lines += [await _build_line(request, inline, view, form_class, None, key, form_data) for key in new_keys]
    for line in lines:
        line.is_deleted = line.is_deleted and may_delete and await view.check_can_delete(request, line.row)
    return InlineTable(inline, view, lines, may_delete)


async def _load_rows(request: Request, inline: Inline, view: Any, parent: Any) -> list[Any]:
    children = view.list_query(request).where(getattr(inline.model, view.name_of(inline.by)) == parent.id)
    linked = view.many_to_many.keys() & set(view.form_names)
    children = children.options(*loading_options(view.mapper, list(linked)))
    rows = await view.fetch_rows(children.order_by(*view.pk_columns).limit(MAX_INLINE_ROWS + 1))
    return [row for row in rows if await view.check_can_edit(request, row)]


async def _load_references(request: Request, inline: Inline, view: Any, rows: Sequence[Any]) -> None:
    """Load the rows that all lines refer to, in one query per column instead of one per line."""
    for name in inline_columns(inline, view):
        if name in view.references:
            ids = {getattr(row, name) for row in rows} - {None}
            await view.references[name].load_rows(request, sorted(ids))
        elif name in view.many_to_many:
            view.many_to_many[name].loaded_rows(request).update(
                (other.id, other) for row in rows for other in getattr(row, name)
            )


async def _build_line(
    request: Request,
    inline: Inline,
    view: Any,
    form_class: type[AdminForm],
    row: Any,
    key: Any,
    form_data: FormData | None,
) -> InlineRow:
    other_names = {name for name in view.form_names if name not in inline_columns(inline, view)}
    form_class = without_fields(form_class, {*other_names, *view.unwritable_columns(request, row)})
    prefix = f"{view.identity}-{key}-"
    initial = {} if row is None else await view.get_form_data_for_edit(row)
    # If the submitted page did not have the row, its checkboxes must not count as unchecked.
    is_submitted = form_data is not None and any(name.startswith(prefix) for name in form_data)
    form = form_class(form_data if is_submitted else None, data=initial, prefix=prefix)
    is_deleted = row is not None and form_data is not None and f"{prefix}delete" in form_data
    return InlineRow(row, form, initial, view.shown_fields(request, row), is_submitted, is_deleted)


def differs(before: Any, after: Any) -> bool:
    """Return whether a value has changed. The order of a list does not matter."""
    if isinstance(after, list) and isinstance(before, list):
        return sorted(map(str, before)) != sorted(map(str, after))
    return bool(before != after)


def _form_texts(form: AdminForm) -> dict[str, Any]:
    return {name: "" if value is None else value for name, value in form.data.items()}


def validate_inlines(tables: Iterable[InlineTable]) -> bool:
    """Validate every line, so that the page shows all errors."""
    return not [table for table in tables if not table.clean()]


async def save_inlines(session: AsyncSession, request: Request, parent: Any, tables: Iterable[InlineTable]) -> None:
    """Save the lines in the transaction of the parent row.

    Raises:
        ValidationRefused: A line is not valid. Its message is beside it.
    """
    for table in tables:
        for line in table.lines:
            try:
                with translate_database_errors(table.view.table, deleting=line.is_deleted):
                    await _save(session, request, parent, table, line)
            except FieldErrors as refusal:
                line.refuse(refusal)
                raise ValidationRefused(INVALID_ROWS) from refusal


async def _save(session: AsyncSession, request: Request, parent: Any, table: InlineTable, line: InlineRow) -> None:
    if not line.is_deleted and not line.values:
        return
    view, by = table.view, table.by
    if line.row is None:
        line.saved_row = await view.add_row(session, request, line.values, {by: parent.id})
        return
    has_key: Any = view.select_by_identifier(str(get_object_identifier(line.row))).whereclause
    rows = view.list_query(request).where(has_key, getattr(view.model, by) == parent.id)
    check = view.check_can_delete if line.is_deleted else view.check_can_edit
    locked = await view.lock_rows(session, request, rows, check)
    if not locked:
        raise ValidationRefused(ROW_IS_GONE)
    if line.is_deleted:
        await view.remove_rows(session, request, locked)
    else:
        await view.change_row(session, request, locked[0], line.values)
    line.saved_row = locked[0]


async def after_inlines(request: Request, tables: Iterable[InlineTable]) -> None:
    """Call SQLAdmin's hooks that run after the commit."""
    for table in tables:
        for line in table.lines:
            if line.saved_row is not None and line.is_deleted:
                await table.view.after_model_delete(line.saved_row, request)
            elif line.saved_row is not None:
                await table.view.after_model_change(line.values, line.saved_row, line.row is None, request)
